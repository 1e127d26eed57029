package storetest

import (
	"context"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
)

// modelNotice is an end that is to be told.
type modelNotice struct {
	nth    int
	at     time.Time
	status store.Status
	reason string
	replay uint64
}

// notice notes the next end of an event.
func (m *model) notice(seq uint64, n modelNotice) {
	m.ends[seq]++
	if m.opts.Notify == nil {
		return
	}
	n.nth, n.at = m.ends[seq], m.clock.Now()
	m.queue[seq] = append(m.queue[seq], n)
}

// tell tells some of the ends.
func (m *model) tell(t *rapid.T) {
	all := m.readNotices(rapid.IntRange(1, 5).Draw(t, "page"))
	m.compareNotices(all)
	if len(all) == 0 {
		t.Skip("nothing has ended")
	}
	n := rapid.IntRange(0, len(all)-1).Draw(t, "told")
	if err := m.store.Told(context.Background(), all[n].Number); err != nil {
		t.Fatalf("Told(%d): %v", all[n].Number, err)
	}
	m.told = all[n].Number
	for _, notice := range all[:n+1] {
		m.queue[notice.Seq] = m.queue[notice.Seq][1:]
	}
	m.compareNotices(m.readNotices(store.MaxLimit))
}

// switchNotices opens the store with notices on or off.
func (m *model) switchNotices(t *rapid.T) {
	if m.opts.Notify == nil {
		m.opts.Notify = func() {}
	} else {
		m.opts.Notify = nil
	}
	m.reopen(t)
}

func (m *model) readNotices(limit int) []store.Notice {
	all, err := readNotices(context.Background(), m.store, limit)
	if err != nil {
		m.Fatalf("Notices: %v", err)
	}
	return all
}

// compareNotices compares all that wait, event by event: those of several may come in any order within a commit.
func (m *model) compareNotices(all []store.Notice) {
	seen := map[uint64]int{}
	oldest := time.Time{}
	for i, n := range all {
		queue := m.queue[n.Seq]
		if seen[n.Seq]++; seen[n.Seq] > len(queue) {
			m.Fatalf("a notice too many: %+v", n)
		}
		want := queue[seen[n.Seq]-1]
		if p := m.pushes[n.Seq]; p != nil && p.status == want.status && m.ends[n.Seq] == want.nth {
			want.reason = p.reason // It may have changed since.
		}
		if got := (modelNotice{n.Nth, want.at, n.Status, n.Reason, n.Replay}); got != want || !n.At.Equal(want.at) {
			m.Fatalf("the notice is %+v, want %+v", n, want)
		}
		if i == 0 {
			oldest = n.At
		}
		if n.Number <= m.told || n.At.Before(oldest) {
			m.Fatalf("up to %d all are told, and then comes %+v", m.told, n)
		}
		m.compareNoticed(&n)
	}
	for seq, queue := range m.queue {
		if seen[seq] != len(queue) {
			m.Fatalf("of event %d, %d notices wait, want %+v", seq, seen[seq], queue)
		}
	}
	if st := m.store.Stats(); st.Notices != int64(len(all)) || !st.OldestNotice.Equal(oldest) {
		m.Fatalf("%d notices are counted, of %v; want %d, of %v", st.Notices, st.OldestNotice, len(all), oldest)
	}
}

// compareNoticed compares the event that a notice tells of.
func (m *model) compareNoticed(n *store.Notice) {
	for _, s := range m.sent {
		if s.seq != n.Seq {
			continue
		}
		want := s.event
		want.Token, want.Msg = "", ""
		if n.Event != want {
			m.Fatalf("notice %d is of %+v, want %+v", n.Number, n.Event, want)
		}
		if (n.Allowed != nil) != (n.Status == store.NoPush && s.verdict == state.Rejected) {
			m.Fatalf("event %d was answered as %s; the notice: %+v", n.Seq, s.verdict, *n)
		}
		return
	}
	m.Fatalf("notice %d is of an unknown event: %+v", n.Number, n)
}
