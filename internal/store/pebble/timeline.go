package pebble

import (
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// settleTimeline makes after the waybill's timeline: the entries in changed were accepted (or ignored) in that order,
// and every row that differs from before is written. It returns the pushes that became open.
func (x *tx) settleTimeline(
	w *waybill, before, after state.Timeline, changed []state.Entry, events []eventRecord,
) (opened []store.Push) {
	for i := range changed {
		e := after.Find(changed[i].Seq)
		switch e.Verdict {
		case state.Rejected:
			x.noticeRejected(e)
		case state.Accepted:
			e.Ord = x.take()
			if p, ok := x.openPush(w, e, &events[i], false); ok {
				opened = append(opened, p)
			}
		}
	}
	for i := range after {
		e := &after[i]
		var old *state.Entry
		if len(before) > 0 && before[0].Seq == e.Seq { // So it goes on: before is after without what is new.
			old, before = &before[0], before[1:]
		} else {
			old = before.Find(e.Seq)
		}
		if old == nil || *old != *e {
			x.putEntry(w, e)
			x.moveHold(w, old, e)
			x.indexEntry(old, e)
		}
	}
	w.adopt(after)
	x.moveFront(w, frontOf(after, !w.lacksToken()))
	return opened
}

// moveHold keeps the rows of h in step with an entry. old is nil for a new one.
func (x *tx) moveHold(w *waybill, old, e *state.Entry) {
	was, is := old != nil && old.Verdict == state.Held, e.Verdict == state.Held
	if was && (!is || old.Until != e.Until) {
		x.key = deadlineKey(x.key[:0], tableHeld, old.Until, e.Seq)
		x.del(x.key)
		x.delta.held--
	}
	if is && (!was || old.Until != e.Until) {
		x.point(deadlineKey(x.key[:0], tableHeld, e.Until, e.Seq), w)
		x.delta.held++
		x.expect(e.Until)
	}
}

// point writes a row that points to a waybill.
func (x *tx) point(key []byte, w *waybill) {
	x.key = key
	x.value = putWaybill(x.value[:0], w.name)
	x.set(x.key, x.value)
}

// expect notes that something is to be done at a moment (Unix ms).
func (x *tx) expect(at int64) {
	if x.deadline == 0 || at < x.deadline {
		x.deadline = at
	}
}

// openPush makes the push of an event that was accepted just now pending. natural says that it was accepted as it came:
// then the event's own row lists it, if it need not wait for a Token. ok is false if the push was discarded instead.
func (x *tx) openPush(w *waybill, e *state.Entry, rec *eventRecord, natural bool) (p store.Push, ok bool) {
	born := pushRecord{PushRecord: store.PushRecord{Ord: e.Ord}}
	if e.Override {
		born.Ends = 1 // Its event was rejected before.
	}
	switch {
	case rec.expunged():
		x.end(w.name, e.Seq, &born, store.Discarded, store.ReasonExpunged)
		return p, false
	case x.s.Terms().DiscardUnknown && w.lacksToken():
		x.end(w.name, e.Seq, &born, store.Discarded, store.ReasonUnknown)
		return p, false
	}
	if w.lacksToken() || !natural {
		born.Status = store.Pending
		x.list(w, e.Seq, born, x.now)
	} else {
		x.w.untried.add(e.Seq, w.name)
	}
	x.indexOpened(w, e.Seq)
	w.open++
	x.delta.move(w.name.DeliveryID, store.NoPush, store.Pending)
	p = rec.push(e.Seq, e.Ord)
	p.OpenedAt = codec.FromMillis(x.now)
	return p, true
}

// list writes an open push with a row in q, or in t as long as its waybill has no Token. It is pending, and waits for a
// Token, from since on (Unix ms; 0: since its event came).
func (x *tx) list(w *waybill, seq uint64, rec pushRecord, since int64) {
	rec.OpenedAt = since
	if w.lacksToken() {
		rec.TokenUntil = since + x.s.Terms().NoTokenWait.Milliseconds()
		x.point(deadlineKey(x.key[:0], tableNoToken, rec.TokenUntil, seq), w)
		x.expect(rec.TokenUntil)
	} else {
		rec.queued = true
		x.point(seqKey(x.key[:0], tableQueued, seq), w)
	}
	x.savePush(seq, rec)
}

// unlist deletes a push's rows in q and t, whichever it has.
func (x *tx) unlist(seq uint64, rec *pushRecord) {
	if rec.queued {
		x.key = seqKey(x.key[:0], tableQueued, seq)
		x.del(x.key)
		rec.queued = false
	}
	if rec.TokenUntil != 0 {
		x.key = deadlineKey(x.key[:0], tableNoToken, rec.TokenUntil, seq)
		x.del(x.key)
		rec.TokenUntil = 0
	}
}

// reopen makes a push that ended pending again, with fresh retries; for a replay, or for none (0).
func (x *tx) reopen(w *waybill, seq uint64, rec pushRecord, replay uint64, bulk bool) {
	x.unlist(seq, &rec)
	x.delta.move(w.name.DeliveryID, rec.Status, store.Pending)
	w.open++
	x.indexCrowd(w.name)
	again := untriedPush(rec.Ord)
	again.Ends, again.Attempts, again.Replay, again.Bulk = rec.Ends, rec.Attempts, replay, bulk
	x.list(w, seq, again, x.now)
}

// end makes a push final and writes it. Whatever ends a push does it here: one that is pending, one that is not to be
// sent at all (it has no status yet), and one that ended in another way before.
func (x *tx) end(w state.Waybill, seq uint64, rec *pushRecord, to store.Status, reason string) {
	was := rec.Status
	x.replayEnded(rec.Replay, was, to)
	x.unlist(seq, rec)
	x.delta.move(w.DeliveryID, was, to)
	rec.Status, rec.Reason, rec.DoneAt, rec.NextAt = to, reason, x.now, 0
	if was != to { // Else only the reason changed.
		rec.Ends++
		x.noticeEnd(seq, rec)
	}
	if was == store.Pending {
		if cached := x.w.cache.get(w); cached != nil { // Else whoever needs it counts its open pushes.
			cached.open--
			x.indexEnded(cached)
		}
	}
	x.savePush(seq, *rec)
}

// feedOpened tells the lanes of pushes that became open; before is how many the waybill had.
func (x *tx) feedOpened(w *waybill, before int, opened []store.Push) {
	if x.s.opts.Feed == nil || len(opened) == 0 {
		return
	}
	if n := len(x.changes); n > 0 && x.changes[n-1].Waybill == w.name && x.changes[n-1].Whole {
		x.changes[n-1].Added = append(x.changes[n-1].Added, opened...)
		return
	}
	c := store.Change{Waybill: w.name, Added: opened, Whole: before == 0, Blocked: w.blocked()}
	if c.Whole {
		c.Token, c.TokenAt = w.token, codec.FromMillis(w.tokenAt)
	}
	x.changes = append(x.changes, c)
}

// feedReload tells the lanes to read a waybill again.
func (x *tx) feedReload(w *waybill) {
	if x.s.opts.Feed != nil {
		x.changes = append(x.changes, store.Change{Waybill: w.name, Reload: true, Blocked: w.blocked()})
	}
}
