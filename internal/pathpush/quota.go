package pathpush

import (
	"time"

	"carrier/internal/store"
)

// quota counts the calls of updatePath on one day in Beijing against what upstream takes a day, and says how long that
// will last. What was sent counts, whatever came of it: rather too many than too few. The account's mutex guards it.
type quota struct {
	reserve float64 // Share of the limit that is kept for main scans; 0: none.

	day    time.Time // When the day that is counted began.
	used   int64
	limit  int64 // Calls a day, as upstream said last; 0: it never did.
	waived bool  // An operator let transit scans go on although the rest is short.
	meter  meter

	sent      int64     // Calls since the start, to tell what was sent since upstream was asked.
	askedAt   time.Time // When upstream last said what is used.
	askError  string    // Why it did not, when it was asked after that.
	askAt     time.Time // Not asked before.
	askSoon   bool      // Asked at once: it refused a call, or an operator resumed the account.
	askFails  int       // How often in a row it did not answer.
	sentAsked int64     // The calls that its last answer has: while there are no others, there is nothing to ask.
	usedKept  int64     // used when it was last made durable.
}

const (
	askEvery = 10 * time.Minute
	// askAgain is when it is asked again if it did not answer; twice as late each time, up to askEvery.
	askAgain = time.Minute
	// askAfterMidnight is how long after midnight it is asked at the earliest: a clock behind ours would still tell of
	// yesterday's quota.
	askAfterMidnight = time.Minute
)

func newQuota(reserve float64, now time.Time) quota {
	return quota{reserve: reserve, day: dayOf(now), meter: meter{start: now}}
}

// dayOf is when the day in Beijing began that t is in.
func dayOf(t time.Time) time.Time {
	year, month, day := t.In(beijing).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, beijing)
}

// dayEnd is when the day that began at a time ends. Days in Beijing have 24 hours.
func dayEnd(day time.Time) time.Time { return day.Add(24 * time.Hour) }

// restore takes over what was counted before a restart.
func (q *quota) restore(kept *store.Quota, now time.Time) {
	q.roll(now)
	q.limit, q.askedAt = kept.Limit, kept.AskedAt
	if kept.Day.Equal(q.day) {
		q.used, q.waived = q.used+kept.Used, kept.Waived
	}
}

// kept is what is made durable. A crash loses what is counted after it, so it has what will be counted by the next
// time, if that is as much as since the last one; exact leaves that out.
func (q *quota) kept(exact bool) store.Quota {
	k := store.Quota{Day: q.day, Used: q.used, Limit: q.limit, AskedAt: q.askedAt, Waived: q.waived}
	if !exact {
		k.Used += max(0, q.used-q.usedKept)
	}
	q.usedKept = q.used
	if k.Used == 0 && k.Limit == 0 {
		return store.Quota{} // An account that never pushed.
	}
	return k
}

// roll begins a new day when it is time.
func (q *quota) roll(now time.Time) {
	if !now.Before(q.day) && now.Before(dayEnd(q.day)) {
		return
	}
	q.day, q.used, q.usedKept, q.waived = dayOf(now), 0, 0, false
	q.askAt = q.day.Add(askAfterMidnight)
}

// count counts a call that is about to be sent.
func (q *quota) count(now time.Time) {
	q.roll(now)
	q.used++
	q.sent++
	q.meter.add(now)
}

// uncount takes back one that was counted at a time, and not sent.
func (q *quota) uncount(at time.Time) {
	q.sent--
	if !at.Before(q.day) {
		q.used = max(0, q.used-1)
	}
}

// remaining is what upstream takes on the rest of the day; only if limit is known.
func (q *quota) remaining() int64 { return max(0, q.limit-q.used) }

// short tells whether no more remains than what is kept for main scans.
func (q *quota) short() bool {
	return q.reserve > 0 && q.limit > 0 && float64(q.remaining()) <= q.reserve*float64(q.limit)
}

// holds tells whether transit scans wait.
func (q *quota) holds() bool { return q.short() && !q.waived }

// waive lets transit scans go on, if they wait, until the day ends or settle finds that there is enough again.
func (q *quota) waive() { q.waived = q.waived || q.short() }

// settle ends a waiver when upstream gave back half of what isn't kept, or takes that much more: when the rest gets
// short anew, that is another matter. Less than that may be calls that were counted and had not arrived.
func (q *quota) settle() {
	q.waived = q.waived && 2*float64(q.remaining()) < (1+q.reserve)*float64(q.limit)
}

// askDue tells whether upstream should be asked now what is used.
func (q *quota) askDue(now time.Time) bool {
	return q.askSoon || !now.Before(q.askAt) && (q.sent != q.sentAsked || q.short())
}

// asking notes that upstream is asked now. What it answers may leave out what was sent after mark, and up to inFlight
// calls that are under way.
func (q *quota) asking(inFlight int, now time.Time) (mark int64) {
	q.askSoon, q.askAt = false, now.Add(askEvery)
	return q.sent - int64(inFlight)
}

// answered takes in upstream's own count, of limit calls a day, as asked for at mark.
func (q *quota) answered(used, limit, mark int64, now time.Time) {
	q.used, q.limit = max(0, used+q.sent-mark), limit
	q.askedAt, q.askError, q.askFails, q.sentAsked = now, "", 0, mark
	q.settle()
}

// unanswered notes why upstream did not say.
func (q *quota) unanswered(why string, now time.Time) {
	q.askError, q.askAt = why, now.Add(min(askEvery, askAgain<<min(q.askFails, 8)))
	q.askFails++
}

// endsAt is when the quota ends if calls go on at the present rate; now if it is used up; zero if it lasts the day, or
// if that can't be told.
func (q *quota) endsAt(now time.Time) time.Time {
	rate := q.meter.perMinute(now)
	switch {
	case q.limit == 0:
		return time.Time{}
	case q.remaining() == 0:
		return now
	case rate == 0:
		return time.Time{}
	}
	minutes := float64(q.remaining()) / rate
	if minutes >= dayEnd(q.day).Sub(now).Minutes() {
		return time.Time{}
	}
	return now.Add(time.Duration(minutes * float64(time.Minute)))
}

// QuotaSnapshot tells how much of the day's quota of updatePath an account has used, and how long it will last.
type QuotaSnapshot struct {
	Day       time.Time // When the day began, in Beijing.
	Used      int64     // Calls on that day: upstream's own count when it was last asked, and what was sent since.
	Limit     int64     // Calls that upstream takes a day; 0: not known.
	Remaining int64     // Of Limit.
	// RatePerMinute is how many calls were sent a minute, in the last quarter of an hour.
	RatePerMinute float64
	EndsAt        time.Time // When it ends at this rate; now if it is used up; zero: it lasts the day, or Limit is not known.
	AskedAt       time.Time // When upstream last said what is used; zero: it never did.
	AskError      string    // Why it did not, when it was asked after that.
	Reserved      int64     // Of Limit: what is kept for main scans.
	// HeldSince is since when transit scans wait, as no more than Reserved remains; zero: they don't. They wait until the
	// day ends, unless upstream takes more by then, or an operator resumes the account.
	HeldSince time.Time
}

// DayEnds is when the day ends, and all that is used of the quota is given back.
func (s *QuotaSnapshot) DayEnds() time.Time { return dayEnd(s.Day) }

func (q *quota) snapshot(now time.Time) QuotaSnapshot {
	q.roll(now)
	s := QuotaSnapshot{
		Day: q.day, Used: q.used, Limit: q.limit, RatePerMinute: q.meter.perMinute(now), EndsAt: q.endsAt(now),
		AskedAt: q.askedAt, AskError: q.askError, Reserved: int64(q.reserve * float64(q.limit)),
	}
	if q.limit > 0 {
		s.Remaining = q.remaining()
	}
	return s
}
