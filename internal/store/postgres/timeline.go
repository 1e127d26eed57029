package postgres

import (
	"carrier/internal/state"
	"carrier/internal/store"
)

// settleTimeline makes v.after the waybill's timeline. fresh is the event that came, or nil; the entries in v.Changed are
// accepted (or ignored, or rejected) after it, in that order, and their numbers are reserved. It returns the events
// whose pushes became open.
func (x *tx) settleTimeline(w *waybill, v *verdict, fresh *row) (opened []*row) {
	for i := range v.Changed {
		if e := v.after.Find(v.Changed[i].Seq); e.Verdict == state.Accepted {
			e.Ord = x.reserved()
		}
	}
	w.timeline, w.dirty = v.after, true
	rows := v.released
	if fresh != nil {
		rows = append([]*row{fresh}, rows...)
	}
	for _, r := range rows {
		was, is := r.entry, w.timeline.Find(r.seq)
		r.entry = *is
		x.change(r)
		x.countHeld(&was, is)
		if r != fresh && is.Verdict == state.Rejected {
			x.noticeRejected(is)
		}
		if is.Verdict == state.Accepted && was.Verdict != state.Accepted && x.openPush(w, r) {
			opened = append(opened, r)
		}
	}
	return opened
}

// countHeld counts an event that is held now, or is no more, and notes until when.
func (x *tx) countHeld(was, is *state.Entry) {
	if was.Verdict == state.Held {
		x.delta[counterHeld]--
	}
	if is.Verdict == state.Held {
		x.delta[counterHeld]++
		x.expect(is.Until)
	}
}

// expect notes that something is to be done at a moment (Unix ms).
func (x *tx) expect(at int64) {
	if x.deadline == 0 || at < x.deadline {
		x.deadline = at
	}
}

// openPush makes the push of an event pending that was accepted just now. It returns false if the push was discarded
// instead.
func (x *tx) openPush(w *waybill, r *row) bool {
	r.push = pushRecord{}
	if r.entry.Override {
		r.push.Ends = 1 // The event was rejected before.
	}
	switch {
	case r.expunged:
		x.end(w, r, store.Discarded, store.ReasonExpunged)
		return false
	case x.s.Terms().DiscardUnknown && w.lacksToken():
		x.end(w, r, store.Discarded, store.ReasonUnknown)
		return false
	}
	x.pend(w, r)
	return true
}

// pend makes a push pending, from now on.
func (x *tx) pend(w *waybill, r *row) {
	x.delta.move(w.name.DeliveryID, r.push.Status, store.Pending)
	r.push.Status, r.push.OpenedAt = store.Pending, x.now
	if w.lacksToken() {
		r.push.TokenUntil = x.now + x.s.Terms().NoTokenWait.Milliseconds()
		x.expect(r.push.TokenUntil)
	}
	w.opened(r.seq, r.entry.Ord)
	x.touch(w)
	x.change(r)
}

// reopen makes a push that ended pending again, with fresh retries; for a replay, or for none (0).
func (x *tx) reopen(w *waybill, r *row, replay uint64, bulk bool) {
	r.push = pushRecord{PushRecord: store.PushRecord{
		Status: r.push.Status, Ends: r.push.Ends, Attempts: r.push.Attempts, Replay: replay, Bulk: bulk,
	}}
	x.pend(w, r)
}

// end makes a push final. Whatever ends a push does it here: one that is pending, one that is not to be sent at all (it
// has no status yet), and one that ended in another way before.
func (x *tx) end(w *waybill, r *row, to store.Status, reason string) {
	p := &r.push
	was := p.Status
	x.replayEnded(p.Replay, was, to)
	x.delta.move(w.name.DeliveryID, was, to)
	p.Status, p.Reason, p.DoneAt, p.doneAfter = to, text(reason), x.now, x.newest
	p.NextAt, p.TokenUntil = 0, 0
	if was != to { // Else only the reason changed.
		p.Ends++
		x.noticeEnd(r)
	}
	if was == store.Pending {
		w.ended(r.seq)
		x.touch(w)
	}
	x.change(r)
}

// noticeEnd keeps a notice of a push that has just ended.
func (x *tx) noticeEnd(r *row) {
	n := notice{seq: r.seq, nth: r.push.Ends, status: r.push.Status, tries: r.push.Tries, replay: r.push.Replay}
	if r.push.Status != store.Delivered {
		n.errcode, n.reason = r.push.LastErrcode(), r.push.Reason
	}
	x.notice(&n)
}

// noticeRejected keeps a notice of an event that has just become rejected: its first end.
func (x *tx) noticeRejected(e *state.Entry) {
	x.notice(&notice{seq: e.Seq, nth: 1, reason: e.Reason.String()})
}

// notice keeps a notice, if anybody is to be told.
func (x *tx) notice(n *notice) {
	if x.s.opts.Notify == nil {
		return
	}
	n.at = x.now
	x.notices = append(x.notices, n)
	x.delta[counterNotices]++
}

// feedOpened tells the lanes of pushes that became open; before is how many the waybill had. Where another node changed
// what is open since this one did, the lanes here may be behind, and must read.
func (x *tx) feedOpened(w *waybill, before int, opened []*row) {
	if x.s.opts.Feed == nil || len(opened) == 0 {
		return
	}
	if w.had > 0 && w.writer != x.pen {
		x.feedReload(w)
		return
	}
	added := gather(opened, (*row).store)
	if n := len(x.changes); n > 0 && x.changes[n-1].Waybill == w.name && x.changes[n-1].Whole {
		x.changes[n-1].Added = append(x.changes[n-1].Added, added...)
		return
	}
	x.changes = append(x.changes, store.Change{Waybill: w.name, Added: added, Whole: before == 0})
}

// feedReload tells the lanes to read a waybill again: once, as they read what the whole transaction left.
func (x *tx) feedReload(w *waybill) {
	if x.s.opts.Feed != nil && !w.reloaded {
		w.reloaded = true
		x.changes = append(x.changes, store.Change{Waybill: w.name, Reload: true})
	}
}

// asLeft is a change with what the lanes go by as the transaction leaves it: they pass over a waybill that is blocked, and
// what blocked it when the change was noted may have ended with a Token that came later in the same transaction.
func (w *waybill) asLeft(c store.Change) store.Change {
	c.Blocked = w.blocked()
	if c.Whole {
		c.Token, c.TokenAt = w.usable()
	}
	return c
}
