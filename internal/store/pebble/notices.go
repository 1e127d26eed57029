package pebble

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// outbox is where the table n stands. Its numbers have no gaps: all behind told up to last are there.
type outbox struct {
	last   uint64 // The highest number that was given.
	told   uint64 // All up to here are told and deleted.
	oldest int64  // When the end was that is told next (Unix ms); 0: none waits.
}

func (o *outbox) waiting() uint64 { return o.last - o.told }

// noticeEnd keeps a notice of a push that has just ended.
func (x *tx) noticeEnd(seq uint64, rec *pushRecord) {
	n := noticeRecord{seq: seq, status: rec.Status, nth: rec.Ends, tries: rec.Tries, replay: rec.Replay}
	if rec.Status != store.Delivered {
		n.errcode, n.reason = rec.LastErrcode(), rec.Reason
	}
	x.notice(&n)
}

// noticeRejected keeps a notice of an event that has just become rejected: its first end.
func (x *tx) noticeRejected(e *state.Entry) {
	x.notice(&noticeRecord{seq: e.Seq, nth: 1, reason: e.Reason.String()})
}

// noticeDifference keeps a notice of what a waybill's difference has become.
func (x *tx) noticeDifference(d *store.Difference) {
	text, err := json.Marshal(d)
	x.must(err)
	x.notice(&noticeRecord{difference: string(text)})
}

// notice keeps a notice, in the commit of what it is of, if anybody is to be told.
func (x *tx) notice(n *noticeRecord) {
	if x.s.opts.Notify == nil {
		return
	}
	n.at = x.now
	box := &x.w.outbox
	if box.waiting() == 0 {
		box.oldest = x.now
	}
	box.last++
	x.noticed, x.dated = true, true
	x.key = seqKey(x.key[:0], tableNotices, box.last)
	x.value = encodeNotice(x.value[:0], n)
	x.set(x.key, x.value)
}

// Notices reads the oldest ends that are to be told.
func (s *Store) Notices(ctx context.Context, after uint64, limit int) (list []store.Notice, err error) {
	box := s.durableOutbox() // What a snapshot shows may be ahead of the disk: a crash would undo an end that was told.
	after, limit = max(after, box.told), min(max(limit, 1), store.MaxLimit)
	if after >= box.last {
		return nil, nil
	}
	err = s.view(func(db cdb.Reader) error {
		return scanRange(db, noticeKey(after+1), noticeKey(box.last+1), func(key, value []byte) (bool, error) {
			n, err := readNotice(db, key, value)
			if errors.Is(err, errNoNotice) {
				return true, nil
			}
			if err != nil {
				s.reportDamage(err)
				return true, nil
			}
			list = append(list, n)
			return len(list) < limit, context.Cause(ctx)
		})
	})
	return list, err
}

func noticeKey(number uint64) []byte { return seqKey(nil, tableNotices, number) }

// durableOutbox is where the table n stands on disk.
func (s *Store) durableOutbox() outbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox
}

// errNoNotice is what readNotice gives for a row that says nothing.
var errNoNotice = errors.New("the notice says nothing")

// readNotice makes a notice of a row of n and what it points to.
func readNotice(db cdb.Reader, key, value []byte) (n store.Notice, err error) {
	rec, err := decodeNotice(value)
	if err == nil && rec.isNothing() {
		return n, errNoNotice
	}
	if err == nil && rec.difference != "" {
		n, err = rec.ofDifference(keySeq(key))
	}
	if err != nil {
		return n, damaged(key, err)
	}
	if rec.difference != "" {
		return n, nil
	}
	event, found, err := readEvent(db, rec.seq)
	if err == nil && !found {
		err = damaged(seqKey(nil, tableEvents, rec.seq), codec.ErrRecord)
	}
	if err != nil {
		return n, err
	}
	n = store.Notice{
		Number: keySeq(key), Seq: rec.seq, Nth: rec.nth, At: codec.FromMillis(rec.at), Status: rec.status, Event: event.event,
		ReceivedAt: codec.FromMillis(event.receivedAt), Tries: rec.tries, Errcode: rec.errcode, Reason: rec.reason, Replay: rec.replay,
	}
	n.Event.Msg = ""
	switch {
	case rec.status == store.NoPush && event.first == state.Rejected:
		n.From, n.Allowed, n.Cause = event.from, event.allowed, event.cause
	case rec.status == store.Failed || rec.status == store.Discarded:
		err = recall(db, &n)
	}
	return n, err
}

// ofDifference makes a notice of a row of n that is of a waybill's difference, and points to nothing.
func (r *noticeRecord) ofDifference(number uint64) (store.Notice, error) {
	n := store.Notice{Number: number, At: codec.FromMillis(r.at), Difference: &store.Difference{}}
	if err := json.Unmarshal([]byte(r.difference), n.Difference); err != nil {
		return n, fmt.Errorf("%w: %w", codec.ErrRecord, err)
	}
	n.Event.DeliveryID, n.Event.WaybillID = n.Difference.Waybill.DeliveryID, n.Difference.Waybill.WaybillID
	return n, nil
}

// recall adds to a notice what only the push itself says, if it still stands where the notice says.
func recall(db cdb.Reader, n *store.Notice) error {
	push, err := readPush(db, n.Seq, 0)
	if err != nil || push.Status != n.Status || push.Ends != n.Nth {
		return err
	}
	n.Reason = push.Reason
	if push.LastErrcode() == n.Errcode && len(push.Attempts) > 0 {
		n.Errmsg = push.Attempts[len(push.Attempts)-1].Errmsg
	}
	return nil
}

// Told forgets all notices up to and including a number.
func (s *Store) Told(ctx context.Context, number uint64) error {
	op := &toldOp{number: min(number, s.durableOutbox().last)}
	return s.write(ctx, op, &op.Waiter)
}

type toldOp struct {
	engine.Waiter
	number uint64 // Of a notice that is on disk.
}

func (o *toldOp) rows() int { return 1 }

func (o *toldOp) run(x *tx) {
	box := &x.w.outbox
	if o.number <= box.told {
		return
	}
	// Not from the table's beginning: what was deleted before need not be hidden again.
	x.must(x.b.DeleteRange(noticeKey(box.told+1), noticeKey(o.number+1), nil))
	box.told = o.number
	x.set(metaTold, binary.BigEndian.AppendUint64(nil, box.told))
	box.oldest = x.s.oldestNotice(box, x.now)
}

// oldestNotice is when the end was that is told next (Unix ms; 0: none waits, or none can be read). made is the time of
// the commit, whose own notices are not in the database yet.
func (s *Store) oldestNotice(box *outbox, made int64) (at int64) {
	if box.waiting() == 0 {
		return 0
	}
	at = made
	err := scanRange(s.db, noticeKey(box.told+1), noticeKey(box.last+1), func(key, value []byte) (bool, error) {
		rec, err := decodeNotice(value)
		if err != nil {
			s.reportDamage(damaged(key, err))
			return true, nil
		}
		at = rec.at
		return false, nil
	})
	if err != nil {
		s.reportDamage(err)
		return box.oldest // Retention leaves too much then, and not too little.
	}
	return at
}

// loadOutbox reads where the table n stands.
func (s *Store) loadOutbox() error {
	last, err := lastOf(s.db, tableNotices)
	if err != nil {
		return err
	}
	box := &s.w.outbox
	if box.told, err = readNumber(s.db, metaTold, 0); err != nil {
		return err
	}
	box.last = max(uint64(last), box.told)
	box.oldest = s.oldestNotice(box, 0)
	s.outbox = *box
	return nil
}
