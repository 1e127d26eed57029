package storetest

import (
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// hear tells all notices that wait, as whoever is told of ends would, and sees that none of an event is left out.
// Nearly all tests do so now and then; those of notices read them themselves.
func (f *fixture) hear() {
	f.Helper()
	if f.untold {
		return
	}
	notices := f.notices()
	for i := range notices {
		n := &notices[i]
		if n.Difference != nil {
			continue
		}
		if was := f.heard[n.Seq]; was == nil && n.Nth != 1 || was != nil && n.Nth != was.Nth+1 {
			f.Errorf("a notice is missing before %+v; the last was %+v", *n, was)
		}
		f.heard[n.Seq] = n
	}
	if len(notices) > 0 {
		f.told(notices[len(notices)-1].Number)
	}
}

// checkHeard sees that every event that is there has ended as the last notice of it says.
func (f *fixture) checkHeard() {
	f.Helper()
	if f.untold {
		return
	}
	for _, e := range f.allEvents() {
		n := f.heard[e.Seq]
		switch e.Status {
		case store.Pending:
		case store.NoPush:
			if (n != nil) != (e.Verdict == state.Rejected) {
				f.Errorf("event %d is %s; its last notice: %+v", e.Seq, e.Verdict, n)
			}
		default:
			p := f.push(e.Seq)
			if n == nil || n.Status != p.Status || p.Status != store.Discarded && !n.At.Equal(p.DoneAt) {
				f.Errorf("push %d: %s at %v; its last notice: %+v", e.Seq, p.Status, p.DoneAt, n)
			}
		}
	}
}

// allEvents lists all events.
func (f *fixture) allEvents() (all []store.Event) {
	f.Helper()
	q := store.Query{Limit: store.MaxLimit}
	for {
		page, err := f.store.Events(f.Context(), q)
		if err != nil {
			f.Fatalf("Events: %v", err)
		}
		all = append(all, page.Items...)
		if q.Before = page.Next; page.Next == 0 {
			return all
		}
	}
}

// notices reads all that wait, page by page.
func (f *fixture) notices() []store.Notice {
	f.Helper()
	all, err := readNotices(f.Context(), f.store, 3)
	if err != nil {
		f.Fatalf("Notices: %v", err)
	}
	st := f.store.Stats()
	oldest := time.Time{}
	if len(all) > 0 {
		oldest = all[0].At
	}
	if st.Notices != int64(len(all)) || !st.OldestNotice.Equal(oldest) {
		f.Errorf("%d notices wait, the oldest of %v; counted are %d, of %v", len(all), oldest, st.Notices, st.OldestNotice)
	}
	return all
}

func (f *fixture) told(number uint64) {
	f.Helper()
	if err := f.store.Told(f.Context(), number); err != nil {
		f.Fatalf("Told(%d): %v", number, err)
	}
}
