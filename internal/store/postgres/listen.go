package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// channel is what nodes tell each other things on. What is told in a transaction is heard if and when it commits.
const channel = "carrier"

// note is what a node tells the others.
type note struct {
	Node     int32              `json:"node"`
	Waybills [][2]string        `json:"waybills,omitempty"` // What is open of them changed.
	Account  string             `json:"account,omitempty"`  // What is kept of it changed.
	Notices  bool               `json:"notices,omitempty"`  // There are new ones.
	Leases   bool               `json:"leases,omitempty"`   // Something is free, or a node came.
	Breaker  *store.BreakerNews `json:"breaker,omitempty"`
	Ping     bool               `json:"ping,omitempty"` // Shows the node itself that it hears.
}

// maxNote bounds the text of a note: PostgreSQL takes fewer than 8,000 bytes.
const maxNote = 7900

// queueNote adds a note to a transaction.
func queueNote(batch *pgx.Batch, n *note) {
	batch.Queue("SELECT pg_notify($1, $2)", channel, n.text())
}

func (n *note) text() string {
	text, err := json.Marshal(n)
	if err != nil {
		panic(fmt.Sprintf("a note of text and numbers can't be encoded: %v", err))
	}
	return string(text)
}

// queueWaybillNotes tells of waybills whose open pushes changed, in as few notes as hold them.
func queueWaybillNotes(batch *pgx.Batch, node int32, all []state.Waybill) {
	n := &note{Node: node}
	room := maxNote - len(n.text()) - len(`,"waybills":[]`)
	left := room
	for _, w := range all {
		pair := [2]string{w.DeliveryID, w.WaybillID}
		text, err := json.Marshal(pair)
		if err != nil {
			panic(fmt.Sprintf("a waybill can't be encoded: %v", err))
		}
		size := len(text) + len(",")
		if size > left && len(n.Waybills) > 0 {
			queueNote(batch, n)
			n, left = &note{Node: node}, room
		}
		n.Waybills = append(n.Waybills, pair)
		left -= size
	}
	if len(n.Waybills) > 0 {
		queueNote(batch, n)
	}
}

// listener hears what other nodes tell, on a connection of its own.
type listener struct {
	config *pgx.ConnConfig
	leases *leases
	feed   store.Feed
	notify func() // Of notices.
	log    *slog.Logger
}

// listenAgain is how long a connection that broke is left alone.
const listenAgain = 500 * time.Millisecond

// errDeaf: nothing comes through, such as when there is a pooler in between that keeps no sessions.
var errDeaf = errors.New("notifications don't arrive; if there is a pooler between carrier and PostgreSQL, " +
	"it must keep sessions, or store.url name PostgreSQL itself")

// open makes a connection that listens.
func (h *listener) open(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, h.config)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// run listens until ctx ends, at first on a connection that does already. Whenever it begins anew, things may have been
// told that nobody heard: all is read again.
func (h *listener) run(ctx context.Context, conn *pgx.Conn) {
	failing := "" // What it fails for, so that it is told once.
	for {
		err := h.listen(ctx, conn)
		for ctx.Err() == nil {
			if err != nil && err.Error() != failing {
				failing = err.Error()
				h.log.Warn("news of other nodes can't be heard for now; what is open is read every few seconds", "err", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(listenAgain):
			}
			if conn, err = h.open(ctx); err == nil {
				break
			}
		}
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close(ctx) // It is of no use any more.
			}
			return
		}
		h.feed([]store.Change{{Shared: &store.Shared{Sweep: true, Missed: true}}})
	}
}

// listen hears until the connection breaks or turns out to be deaf, and closes it.
func (h *listener) listen(ctx context.Context, conn *pgx.Conn) error {
	hearing, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(last) // It is of no more use, whatever its end.
	}()
	h.leases.listening(func() { cancel(errDeaf) })
	defer h.leases.listening(nil)
	for {
		got, err := conn.WaitForNotification(hearing)
		if err != nil {
			return cmp.Or(context.Cause(hearing), err)
		}
		h.hear(got.Payload)
	}
}

// hear acts on a note.
func (h *listener) hear(text string) {
	var n note
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		h.log.Warn("a notification that no node of carrier sent was passed over", "channel", channel, "err", err)
		return
	}
	switch own := n.Node == h.leases.me(); {
	case own && n.Ping:
		h.leases.heard()
	case own:
		// Of what it tells, only waybills are news to itself: they were not its own when it told of them.
		n = note{Waybills: n.Waybills}
	case n.Leases:
		h.leases.poke()
	case n.Notices:
		h.notify()
	}
	if changes := h.changes(&n); len(changes) > 0 {
		h.feed(changes)
	}
}

// changes are what a note means for pushing.
func (h *listener) changes(n *note) (changes []store.Change) {
	for _, pair := range n.Waybills {
		w := state.Waybill{DeliveryID: pair[0], WaybillID: pair[1]}
		if h.leases.owns(w) {
			changes = append(changes, store.Change{Waybill: w, Reload: true})
		}
	}
	if n.Account != "" {
		changes = append(changes, store.Change{Shared: &store.Shared{Account: n.Account}})
	}
	if n.Breaker != nil {
		changes = append(changes, store.Change{Shared: &store.Shared{Breaker: n.Breaker}})
	}
	return changes
}

// listening notes how to end the present listening if it is deaf; nil: there is none.
func (l *leases) listening(end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf, l.silent, l.pinged = end, 0, false
}

// heard notes that a ping came back.
func (l *leases) heard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pinged = true
}

// silentRounds is how many rounds in a row may pass without a ping before a listener counts as deaf. The first may have
// been sent before it listened.
const silentRounds = 3

// countSilence counts a round. missed says that news may have been missed meanwhile. l.mu is held.
func (l *leases) countSilence() (missed bool) {
	if l.pinged {
		l.pinged, l.silent = false, 0
		return false
	}
	l.silent++
	if l.silent < silentRounds {
		return false
	}
	if l.deaf != nil && l.silent%silentRounds == 0 {
		l.deaf()
	}
	return true
}
