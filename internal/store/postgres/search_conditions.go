package postgres

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// is adds a condition. What stands for a ? is an argument.
func (f *search) is(condition string, arg any) {
	f.args = append(f.args, arg)
	f.where = append(f.where, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(f.args))))
}

// fixed adds a condition without arguments: planners know indexes that are of some rows only by what stands in the text.
func (f *search) fixed(condition string, args ...any) {
	f.where = append(f.where, fmt.Sprintf(condition, args...))
}

// eventConditions are those on what an event was born with.
func (f *search) eventConditions(q *store.Query) {
	if q.DeliveryID != "" {
		f.is("e.delivery_id = ?", text(q.DeliveryID))
	}
	if q.WaybillID != "" {
		f.is("e.waybill_id = ?", text(q.WaybillID))
	}
	if q.Source != "" {
		f.is("e.source = ?", text(q.Source))
	}
	if q.Type != 0 {
		f.fixed("e.action_type = %d", q.Type)
	}
	if !q.Since.IsZero() {
		f.is("e.received_at >= ?", ceilStamp(q.Since))
	}
	if !q.Until.IsZero() {
		f.is("e.received_at < ?", ceilStamp(q.Until))
	}
}

// pushConditions are those on how an event and its push stand.
func (f *search) pushConditions(s *Store, q *store.Query, pushes bool) {
	if q.Status != store.NoPush {
		f.fixed("e.status = %d", q.Status)
	} else if pushes {
		f.fixed("e.status <> 0")
	}
	if q.Verdict != 0 {
		f.fixed("e.verdict = %d", q.Verdict)
	}
	if q.Errcode != nil {
		f.is("e.errcode::bigint = ?", int64(*q.Errcode))
	}
	if q.Reason != "" {
		f.reason(q.Reason, pushes)
	}
	if q.WaitingFor != store.WaitNothing {
		f.waitingFor(q.WaitingFor, s.opts.Now())
	}
}

// reason is that of a push, and of an event, too, where events are listed.
func (f *search) reason(reason string, pushes bool) {
	condition := "e.push_reason = ?"
	if i := slices.IndexFunc(eventReasons[:], func(r state.Reason) bool { return r.String() == reason }); i >= 0 && !pushes {
		condition = fmt.Sprintf("(%s OR e.reason = %d)", condition, eventReasons[i])
	}
	f.is(condition, text(reason))
}

// eventReasons are those that an event can have.
var eventReasons = [...]state.Reason{
	state.MissingScan, state.BehindHeld, state.RepeatsStage, state.RepeatsEvent, state.IllegalStep, state.ContradictsNext,
}

// waitingFor leaves out what certainly waits for something else. What is left is looked at one by one, as accounts have
// a say in it (store.Query, Held).
func (f *search) waitingFor(what store.WaitingFor, now time.Time) {
	f.tables += " JOIN waybills w USING (delivery_id, waybill_id)"
	f.fixed("e.status = 1")
	const kept = "(w.parked_at IS NOT NULL OR w.frozen_at IS NOT NULL OR w.open[1] <> e.seq)"
	switch what {
	case store.WaitToken:
		f.fixed("w.token_at IS NULL")
		return
	case store.WaitWaybill:
		f.fixed("w.token_at IS NOT NULL AND " + kept)
		return
	case store.WaitRetry:
		f.is("e.next_at > ?", timestamp(now.UnixMilli()))
	}
	f.fixed("w.token_at IS NOT NULL AND NOT " + kept)
}

// accountsOf steps from one account to the next, so it costs a look an account.
const accountsOf = `WITH RECURSIVE a(delivery_id) AS (
		(SELECT delivery_id FROM waybills ORDER BY delivery_id LIMIT 1)
		UNION ALL
		SELECT (SELECT w.delivery_id FROM waybills w WHERE w.delivery_id > a.delivery_id ORDER BY w.delivery_id LIMIT 1)
		FROM a WHERE a.delivery_id IS NOT NULL
	)`

// waybill narrows the search to the events of a waybill; without an account given, of those of all accounts.
func (f *search) waybill(s *Store, q *store.Query) error {
	if q.WaybillID == "" {
		return nil
	}
	rows, err := f.t.Query(f.ctx, accountsOf+" SELECT "+waybillFields+` FROM a JOIN waybills w USING (delivery_id)
		WHERE w.waybill_id = $1 AND ($2 = '' OR w.delivery_id = $2)`, text(q.WaybillID), text(q.DeliveryID))
	if err != nil {
		return err
	}
	defer rows.Close()
	seqs := []int64{}
	var damage error
	err = s.scanWaybills(rows, func(w *waybill) {
		damage = cmp.Or(damage, w.damage)
		for i := range w.timeline {
			seqs = append(seqs, int64(w.timeline[i].Seq))
		}
	})
	f.is("e.seq = ANY (?::bigint[])", seqs)
	f.window = math.MaxUint64 // They are few.
	if err != nil {
		return err
	}
	return damage
}
