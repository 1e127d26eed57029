package pebble

import (
	"context"
	"sort"

	cdb "github.com/cockroachdb/pebble/v2"
)

// mayBeTold tells whether a notice of a settled waybill may wait. Whatever ends an event of it leaves a trace in its rows
// that is as new: the end itself, or the arrival or the end of what was accepted with it.
func (x *tx) mayBeTold(rows []row) bool {
	box := &x.w.outbox
	if box.waiting() == 0 {
		return false
	}
	newest := int64(0)
	for i := range rows {
		newest = max(newest, rows[i].event.receivedAt, rows[i].push.DoneAt)
	}
	return newest >= box.oldest
}

// pruneNotices forgets notices from before the horizon (Unix ms) that nobody will be told any more.
func (s *Store) pruneNotices(ctx context.Context, horizon int64) error {
	box := s.durableOutbox()
	if s.opts.Notify != nil || box.waiting() == 0 || box.oldest >= horizon {
		return nil
	}
	old, err := s.noticesBefore(&box, horizon)
	if err != nil || old == 0 {
		return err
	}
	s.opts.Logger.Warn("notices of ends are off; those that were never told and are older than the retention are forgotten",
		"notices", old)
	return s.Told(ctx, box.told+old)
}

// noticesBefore counts the notices from before the horizon (Unix ms). They are in the order of time.
func (s *Store) noticesBefore(box *outbox, horizon int64) (n uint64, err error) {
	err = s.view(func(db cdb.Reader) error {
		n = uint64(sort.Search(int(box.waiting()), func(i int) bool {
			at := int64(0) // What can't be read is as good as told.
			if _, err := read(db, noticeKey(box.told+1+uint64(i)), func(v []byte) error {
				rec, err := decodeNotice(v)
				at = rec.at
				return err
			}); err != nil {
				s.reportDamage(err)
			}
			return at >= horizon
		}))
		return nil
	})
	return n, err
}
