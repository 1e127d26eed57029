package postgres

import (
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// waybill is a row of waybills.
type waybill struct {
	name     state.Waybill
	slot     int16
	encoded  []byte // The timeline as it is in the row, and as it is to be written.
	timeline state.Timeline
	open     []uint64 // The numbers of its pending pushes, in the order of sending.
	had      int      // How many pushes were pending in the row.
	writer   string   // Who changed what is open last: a Store's pen.
	stage    int16    // Where the timeline leads, and of the accepted events
	newest   uint64   // the one that came last: worked out as the row is written.

	tokens []byte // As in the row; see openTokens.
	// token is the newest Token; empty: none is known, or none of the keys opens it (sealed).
	token   string
	history []store.TokenRecord // Of token, newest first; nil if there is none that opens.
	tokenAt int64               // When the newest came (Unix ms); 0: the waybill has none at all.

	parkedAt int64 // Upstream refuses its Token since then (Unix ms); 0: it does not.
	frozenAt int64 // An operator holds it since then.
	frozenBy string
	frozen   string // Why.

	stored   bool  // The row is there.
	dirty    bool  // It is to be written.
	reloaded bool  // The lanes are told to read it again.
	damage   error // It can't be read; nothing else is to be used then.
}

var waybillColumns = []column[*waybill]{
	plain("delivery_id", "text", func(w *waybill) *string { return &w.name.DeliveryID }),
	plain("waybill_id", "text", func(w *waybill) *string { return &w.name.WaybillID }),
	plain("slot", "smallint", func(w *waybill) *int16 { return &w.slot }),
	plain("timeline", "bytea", func(w *waybill) *[]byte { return &w.encoded }),
	list("open", "bigint[]", func(w *waybill) *[]uint64 { return &w.open }),
	plain("writer", "text", func(w *waybill) *string { return &w.writer }),
	plain("stage", "smallint", func(w *waybill) *int16 { return &w.stage }),
	number("newest", func(w *waybill) *uint64 { return &w.newest }),
	plain("tokens", "bytea", func(w *waybill) *[]byte { return &w.tokens }),
	stamp("token_at", func(w *waybill) *int64 { return &w.tokenAt }),
	stamp("parked_at", func(w *waybill) *int64 { return &w.parkedAt }),
	stamp("frozen_at", func(w *waybill) *int64 { return &w.frozenAt }),
	plain("frozen_by", "text", func(w *waybill) *string { return &w.frozenBy }),
	plain("frozen_reason", "text", func(w *waybill) *string { return &w.frozen }),
}

var (
	insertWaybills = insertSQL("waybills", waybillColumns)
	updateWaybills = updateSQL("waybills", 2, waybillColumns)
	waybillFields  = names("w", waybillColumns)
)

// slots is how many parts waybills are divided into, each of which one node owns.
const slots = 256

// slotOf is the part that a waybill belongs to: FNV-1a of both its names, for ever.
func slotOf(w state.Waybill) int16 {
	const offset, prime = 2166136261, 16777619
	h := uint32(offset)
	for _, name := range []string{w.DeliveryID, "\x00", w.WaybillID} {
		for i := range len(name) {
			h = (h ^ uint32(name[i])) * prime
		}
	}
	return int16((h ^ h>>16) % slots)
}

// newWaybill is one of which nothing is known.
func newWaybill(name state.Waybill) *waybill {
	return &waybill{name: name, slot: slotOf(name), tokens: []byte{}}
}

// encode works out what is written of the timeline.
func (w *waybill) encode() {
	w.encoded = encodeTimeline(w.timeline)
	w.stage, w.newest = front(w.timeline)
}

// front is where a waybill stands, and which of its accepted events came last; 0: none was.
func front(t state.Timeline) (stage int16, newest uint64) {
	for i := range t {
		if t[i].Verdict == state.Accepted {
			newest = max(newest, t[i].Seq)
		}
	}
	return int16(t.Stage()), newest
}

// decode takes in what was scanned.
func (w *waybill) decode() (err error) {
	w.stored, w.had = true, len(w.open)
	w.timeline, err = decodeTimeline(w.encoded)
	return err
}

// known tells whether anything of it was kept: an event or a Token.
func (w *waybill) known() bool { return len(w.timeline) > 0 || w.tokenAt != 0 }

// usable is the newest Token, if it opens, and when it came.
func (w *waybill) usable() (token string, at time.Time) {
	if w.token == "" {
		return "", time.Time{}
	}
	return w.token, codec.FromMillis(w.tokenAt)
}

// lacksToken tells whether the waybill has no Token at all. One that can't be opened is one.
func (w *waybill) lacksToken() bool { return w.tokenAt == 0 }

// kept tells whether its pushes are kept back: it is parked or frozen.
func (w *waybill) kept() bool { return w.parkedAt != 0 || w.frozenAt != 0 }

// blocked tells whether nothing of the waybill can be sent, whatever its account does.
func (w *waybill) blocked() bool { return w.token == "" || w.kept() }

// hold is its freeze.
func (w *waybill) hold() store.Hold {
	return store.Hold{Since: codec.FromMillis(w.frozenAt), By: w.frozenBy, Reason: w.frozen}
}

// opened puts a push among the open ones, in its place.
func (w *waybill) opened(seq, ord uint64) {
	at := len(w.open)
	for at > 0 && w.ordOf(w.open[at-1]) > ord {
		at--
	}
	w.open = slices.Insert(w.open, at, seq)
	w.dirty = true
}

// ended takes a push out of the open ones.
func (w *waybill) ended(seq uint64) {
	if at := slices.Index(w.open, seq); at >= 0 {
		w.open = slices.Delete(w.open, at, at+1)
		w.dirty = true
	}
}

// ordOf is the place in the order of acceptance of an event of the timeline; 0 if it has none.
func (w *waybill) ordOf(seq uint64) uint64 {
	if e := w.timeline.Find(seq); e != nil {
		return e.Ord
	}
	return 0
}

// accepted are the numbers of the events that have a push.
func (w *waybill) accepted() (seqs []uint64) {
	for i := range w.timeline {
		if w.timeline[i].Ord != 0 {
			seqs = append(seqs, w.timeline[i].Seq)
		}
	}
	return seqs
}
