package pebble

import (
	"bytes"
	"context"
	"errors"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// nameKey is the key of a waybill's row of N.
func nameKey(b []byte, w state.Waybill) []byte {
	return putWaybill(append(namePrefix(b, w.WaybillID), 0), w)
}

// namePrefix is what the keys of the waybills begin with whose numbers end in a text.
func namePrefix(b []byte, end string) []byte {
	return append(append(b, tableNames), store.Reversed(end)...)
}

// parseName is the reverse of nameKey.
func parseName(key []byte) (state.Waybill, bool) {
	_, name, ok := bytes.Cut(key[1:], []byte{0})
	if !ok {
		return state.Waybill{}, false
	}
	return parseWaybill(name)
}

// listName writes the row of N of a waybill that gets its first event or Token.
func (x *tx) listName(w *waybill) {
	if w.named {
		return
	}
	w.named = true
	x.key = nameKey(x.key[:0], w.name)
	x.set(x.key, nil)
}

// unlistName deletes the row of N of a waybill of which neither an event nor a Token is left.
func (x *tx) unlistName(name state.Waybill) {
	x.key = nameKey(x.key[:0], name)
	x.del(x.key)
}

// Find lists the waybills whose number ends in a text, in the order of N.
func (s *Store) Find(_ context.Context, q store.FindQuery) (page store.Summaries, err error) {
	prefix := namePrefix(nil, q.End)
	from := prefix
	if q.After != "" {
		from = append([]byte{tableNames}, q.After...)
	}
	limit := min(max(q.Limit, 1), store.MaxLimit)
	err = s.view(func(db cdb.Reader) error {
		return scanRange(db, from, after(prefix), func(key, _ []byte) (bool, error) {
			if len(page.Items) == limit {
				page.Next = string(key[1:])
				return false, nil
			}
			w, ok := parseName(key)
			if !ok {
				s.reportDamage(damaged(key, codec.ErrRecord))
				return true, nil
			}
			sum, err := summarize(db, w)
			if errors.Is(err, store.ErrDamaged) {
				s.reportDamage(err) // One that is damaged hides no others.
				return true, nil
			}
			page.Items = append(page.Items, sum)
			return true, err
		})
	})
	return page, err
}
