package pathpush

import (
	"math"
	"strings"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// noon is noon in Beijing of some day.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, beijing)

// counted is a quota of a limit of which so many calls were counted, all just now.
func counted(limit, used int64, reserve float64, now time.Time) *quota {
	q := newQuota(reserve, now)
	q.limit = limit
	for range used {
		q.count(now)
	}
	return &q
}

func TestDayOf(t *testing.T) {
	for name, c := range map[string]struct{ at, day string }{
		"morning":              {"2026-03-04T08:00:00+08:00", "2026-03-04T00:00:00+08:00"},
		"first moment":         {"2026-03-04T00:00:00+08:00", "2026-03-04T00:00:00+08:00"},
		"last moment":          {"2026-03-04T23:59:59.999+08:00", "2026-03-04T00:00:00+08:00"},
		"UTC, the same day":    {"2026-03-04T15:59:59Z", "2026-03-04T00:00:00+08:00"},
		"UTC, a day behind":    {"2026-03-04T16:00:00Z", "2026-03-05T00:00:00+08:00"},
		"the year's last hour": {"2026-12-31T16:30:00Z", "2027-01-01T00:00:00+08:00"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := dayOf(at).Format(time.RFC3339); got != c.day {
			t.Errorf("%s: got %s, want %s", name, got, c.day)
		}
	}
}

func TestQuotaForecast(t *testing.T) {
	tests := []struct {
		name      string
		limit     int64
		perMinute int           // in each of the last minutes
		minutes   int           // so many
		idle      time.Duration // after them
		rate      float64
		left      time.Duration // until it ends; 0: it lasts the day, or nothing is known
	}{
		{name: "no limit known", perMinute: 100, minutes: 20, rate: 100},
		{name: "nothing sent", limit: 1000},
		{name: "it lasts the day", limit: 100_000, perMinute: 100, minutes: 20, rate: 100},
		{name: "it ends", limit: 20_000, perMinute: 100, minutes: 20, rate: 100, left: 180 * time.Minute},
		{name: "a slow quarter of an hour", limit: 3000, perMinute: 100, minutes: 20, idle: 5 * time.Minute, rate: 1000. / 15, left: 15 * time.Minute},
		{name: "a quiet quarter of an hour", limit: 2001, perMinute: 100, minutes: 20, idle: 15 * time.Minute},
		{name: "used up", limit: 2000, perMinute: 100, minutes: 20, rate: 100, left: time.Nanosecond},
		{name: "just begun: a start is no rate", limit: 1100, perMinute: 100, minutes: 1, rate: 20, left: 50 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := noon
			q := newQuota(0, now)
			q.limit = tt.limit
			for range tt.minutes {
				for range tt.perMinute {
					q.count(now)
				}
				now = now.Add(time.Minute)
			}
			now = now.Add(tt.idle - time.Nanosecond) // The last minute is nearly over.
			s := q.snapshot(now)
			if math.Abs(s.RatePerMinute-tt.rate) > 0.01 {
				t.Errorf("the rate is %v, want %v", s.RatePerMinute, tt.rate)
			}
			switch left := s.EndsAt.Sub(now); {
			case tt.left == 0 && !s.EndsAt.IsZero():
				t.Errorf("it ends in %v, want it to last the day", left)
			case tt.left != 0 && (left-tt.left).Abs() > time.Second:
				t.Errorf("it ends in %v, want %v", left, tt.left)
			}
		})
	}
}

func TestQuotaShort(t *testing.T) {
	tests := []struct {
		name        string
		limit, used int64
		reserve     float64
		short       bool
	}{
		{"no reserve", 100, 100, 0, false},
		{"no limit known", 0, 100, 0.5, false},
		{"one above", 100, 79, 0.2, false},
		{"at most that share", 100, 80, 0.2, true},
		{"used up", 100, 100, 0.2, true},
		{"more than all", 100, 150, 0.2, true},
		{"all is kept", 100, 0, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := counted(tt.limit, tt.used, tt.reserve, noon)
			if q.short() != tt.short || q.holds() != tt.short {
				t.Errorf("short is %v, holds %v, want both %v", q.short(), q.holds(), tt.short)
			}
			q.waive()
			if q.holds() || q.waived != tt.short {
				t.Errorf("after a waiver: holds %v, waived %v", q.holds(), q.waived)
			}
			q.roll(noon.Add(12 * time.Hour))
			if all := tt.reserve == 1; q.used != 0 || q.waived || q.holds() != all {
				t.Errorf("on the next day: used %d, waived %v, holds %v", q.used, q.waived, q.holds())
			}
		})
	}
}

// TestQuotaAnswered: upstream's own count is taken, and what it may not know of is added.
func TestQuotaAnswered(t *testing.T) {
	q := counted(0, 10, 0.5, noon)
	mark := q.asking(3, noon) // Of the 10, 3 are under way.
	q.count(noon)
	q.count(noon)
	q.answered(500, 1000, mark, noon)
	if q.used != 505 || q.limit != 1000 || !q.holds() == (q.remaining() <= 500) {
		t.Errorf("used %d of %d, want 500, the 3 under way and the 2 sent since", q.used, q.limit)
	}
	q.uncount(noon)
	if q.used != 504 {
		t.Errorf("used %d, want 504: one was not sent", q.used)
	}
	q.waive()
	q.answered(490, 1000, q.asking(0, noon), noon)
	if q.short() || !q.waived {
		t.Errorf("used %d, waived %v; want the waiver to outlast a count that was a little too high", q.used, q.waived)
	}
	q.waive()
	q.answered(0, 1000, q.asking(0, noon), noon) // It was cleared.
	if q.used != 0 || q.waived {
		t.Errorf("used %d, waived %v; want the waiver to end with what it was for", q.used, q.waived)
	}
	q.uncount(noon)
	if q.used != 0 {
		t.Errorf("used %d", q.used)
	}
	late := noon.Add(11*time.Hour + 59*time.Minute)
	q.count(late)
	q.count(late.Add(2 * time.Minute))
	q.uncount(late) // That was yesterday's.
	if q.used != 1 {
		t.Errorf("used %d on the next day, want 1", q.used)
	}
}

// TestQuotaKept: what is kept of the count has what will be sent until it is kept again.
func TestQuotaKept(t *testing.T) {
	q := newQuota(0.2, noon)
	if k := q.kept(false); k != (store.Quota{}) {
		t.Errorf("of an account that never pushed %+v is kept", k)
	}
	for _, step := range []struct {
		sent, kept int64
	}{{10, 20}, {30, 70}, {0, 40}, {0, 40}, {1, 42}} {
		for range step.sent {
			q.count(noon)
		}
		if got := q.kept(false).Used; got != step.kept {
			t.Errorf("after %d more it is %d, want %d", step.sent, got, step.kept)
		}
	}
	q.count(noon)
	if got := q.kept(true).Used; got != 42 {
		t.Errorf("at the end it is %d, want 42", got)
	}
	q.answered(900, 1000, q.asking(0, noon), noon)
	q.waive()
	kept := q.kept(true)
	for name, c := range map[string]struct {
		now    time.Time
		used   int64
		waived bool
	}{
		"the same day":    {noon.Add(time.Hour), 900, true},
		"the next day":    {noon.Add(13 * time.Hour), 0, false},
		"the day before?": {noon.Add(-13 * time.Hour), 0, false},
	} {
		again := newQuota(0.2, c.now)
		again.restore(&kept, c.now)
		if again.used != c.used || again.waived != c.waived || again.limit != 1000 || !again.askedAt.Equal(noon) {
			t.Errorf("%s: %+v", name, again)
		}
	}
}

func TestQuotaAskDue(t *testing.T) {
	q := newQuota(0.2, noon)
	due := func(at time.Duration, want bool) {
		t.Helper()
		now := noon.Add(at)
		q.roll(now)
		if got := q.askDue(now); got != want {
			t.Errorf("after %v it is asked: %v, want %v", at, got, want)
		}
	}
	due(0, false) // Nothing was sent.
	q.count(noon)
	due(0, true)
	q.answered(1, 100, q.asking(0, noon), noon)
	q.count(noon)
	due(9*time.Minute, false)
	due(10*time.Minute, true)
	at := noon.Add(10 * time.Minute)
	for _, wait := range []time.Duration{1, 2, 4, 8, 10, 10} { // As long as upstream does not answer.
		q.asking(0, at)
		q.unanswered("no", at)
		if got := q.askAt.Sub(at); got != wait*time.Minute {
			t.Errorf("it is asked again after %v, want %v minutes", got, int(wait))
		}
		at = q.askAt
	}
	due(at.Sub(noon)-time.Second, false)
	due(at.Sub(noon), true)
	q.answered(1, 100, q.asking(0, at), at)
	due(2*time.Hour, false) // Idle.
	q.used = 80
	due(2*time.Hour, true) // Transit scans wait for it to be raised.
	q.asking(0, noon.Add(2*time.Hour))
	q.askSoon = true
	due(2*time.Hour, true)
	q.answered(1, 100, q.asking(0, noon.Add(11*time.Hour+58*time.Minute)), noon.Add(11*time.Hour+58*time.Minute))
	q.count(noon.Add(12 * time.Hour))
	due(12*time.Hour, false) // Upstream may still be in the day before.
	due(12*time.Hour+time.Minute, true)
}

// TestQuotaAsked: upstream is asked with the first push, every ten minutes while there are pushes, and when it says that
// the quota is used up.
func TestQuotaAsked(t *testing.T) {
	bubble(t, func(o *Options) { o.QuotaReserve = 0.01 }, func(t *testing.T, r *rig) {
		r.quota.others = 4000
		times := func(want int) {
			t.Helper()
			if n := r.quota.times(); n != want {
				t.Fatalf("at %s it was asked %d times, want %d", time.Now().In(beijing).Format(time.TimeOnly), n, want)
			}
		}
		time.Sleep(time.Hour)
		times(0)
		r.store.accept(waybill(1), 1, false)
		time.Sleep(time.Second)
		times(1)
		s := r.pusher.Snapshots()[0].Quota
		if s.Limit != 1_000_000 || s.Used < 4001 || s.Used > 4002 || s.Remaining != s.Limit-s.Used || s.Reserved != 10_000 ||
			s.AskedAt.IsZero() || s.AskError != "" || s.Day.Format(time.DateOnly) != "2000-01-01" || !s.HeldSince.IsZero() {
			t.Errorf("got %+v", s)
		}
		for range 60 {
			r.store.accept(waybill(1), 1, false)
			time.Sleep(time.Minute)
		}
		times(7)
		time.Sleep(3 * time.Hour)
		times(7) // Nothing was sent.
		if s := r.pusher.Snapshots()[0].Quota; s.Used != 4061 {
			t.Errorf("used %d, want upstream's own count of 4061", s.Used)
		}
		r.upstream.mu.Lock()
		r.upstream.answer = func(int, call) (wechat.Answer, error) { return code(45009) }
		r.upstream.mu.Unlock()
		r.store.accept(waybill(1), 1, false)
		time.Sleep(30 * time.Second)
		r.store.accept(waybill(2), 1, false)
		times(9) // With the call, and when it was refused.
		time.Sleep(time.Hour)
		if n := r.quota.times(); n > 10 { // Once more, if by our count the call was still under way then.
			t.Errorf("it was asked %d times more of an account that waits", n-9)
		}
		asked := r.quota.times()
		if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := r.quota.times(); n < asked+1 {
			t.Error("a resume does not ask")
		}
	})
}

// TestQuotaNotTold: while upstream does not say, calls are counted, nothing waits, and one can see why.
func TestQuotaNotTold(t *testing.T) {
	bubble(t, func(o *Options) { o.QuotaReserve = 1 }, func(t *testing.T, r *rig) {
		r.quota.fails(&wechat.RefusedError{Op: "getApiQuota", Answer: wechat.Answer{Errcode: 48001, Errmsg: "unauthorized"}})
		r.store.accept(waybill(1), 3, false)
		time.Sleep(time.Second)
		s := r.pusher.Snapshots()[0].Quota
		if s.Used != 3 || s.Limit != 0 || s.Remaining != 0 || !s.AskedAt.IsZero() || !strings.Contains(s.AskError, "48001") || !s.HeldSince.IsZero() {
			t.Errorf("got %+v", s)
		}
		r.store.accept(waybill(1), 1, false)
		r.quota.takesDaily(0)
		r.quota.fails(nil)
		time.Sleep(2 * time.Minute)
		if s := r.pusher.Snapshots()[0].Quota; s.AskError != "the answer has no daily_limit" {
			t.Errorf("an answer without a limit: %+v", s)
		}
		r.quota.takesDaily(500)
		time.Sleep(10 * time.Minute)
		if s := r.pusher.Snapshots()[0].Quota; s.Limit != 500 || s.AskError != "" {
			t.Errorf("got %+v", s)
		}
		if n := len(r.upstream.seen()); n != 4 {
			t.Errorf("%d pushes were sent, want all 4", n)
		}
	})
}

// TestQuotaAnswerOfYesterday: a question before midnight that is answered after it says nothing of the new day.
func TestQuotaAnswerOfYesterday(t *testing.T) {
	bubble(t, func(o *Options) { o.QuotaReserve = 0.5 }, func(t *testing.T, r *rig) {
		untilBeijing(t, "23:59:59.000")
		r.quota.mu.Lock()
		r.quota.takes, r.quota.others, r.quota.limit = 5*time.Second, 999, 1000
		r.quota.mu.Unlock()
		r.store.accept(waybill(1), 1, false)
		time.Sleep(10 * time.Second)
		if s := r.pusher.Snapshots()[0].Quota; s.Used != 0 || s.Limit != 0 || s.Day.Format(time.DateOnly) != "2000-01-02" {
			t.Errorf("got %+v", s)
		}
	})
}

// TestQuotaOutlivesRestart: the count goes on after a stop, and after a crash it is rather too high.
func TestQuotaOutlivesRestart(t *testing.T) {
	bubble(t, func(o *Options) { o.QuotaReserve = 0.5 }, func(t *testing.T, r *rig) {
		r.quota.fails(errTimeout)
		for w := range 40 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(6 * time.Second)
		r.store.mu.Lock()
		kept := r.store.accounts["SF"].Quota
		r.store.mu.Unlock()
		if kept.Used != 80 {
			t.Errorf("a crash would find %d counted, want the 40 and as many again", kept.Used)
		}
		r.stop()
		if r.err != nil {
			t.Fatal(r.err)
		}
		puts := r.store.written()
		r.begin(t)
		r.store.scan(waybill(50), false, state.PickupDone)
		time.Sleep(3 * time.Second)
		if s := r.pusher.Snapshots()[0].Quota; s.Used != 41 {
			t.Errorf("after the restart it is %d, want 41", s.Used)
		}
		time.Sleep(time.Hour)
		if n := r.store.written() - puts; n > 3 {
			t.Errorf("it was made durable %d times, want no more than there was to keep", n)
		}
	})
}

// TestQuotaUnsent: what did not reach upstream is not counted; what may have is.
func TestQuotaUnsent(t *testing.T) {
	bubble(t, func(o *Options) { o.Retry.Max = time.Second }, func(t *testing.T, r *rig) {
		answers := []error{&wechat.CallError{Op: "updatePath", Kind: wechat.KindNetwork, Err: errTimeout}, errTimeout, nil}
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) { return wechat.Answer{}, answers[n-1] }
		r.creds.fail(&wechat.TokenError{Scope: wechat.ScopeUpstream, Err: errTimeout})
		r.store.accept(waybill(1), 1, false)
		time.Sleep(10*time.Second + 500*time.Millisecond)
		if s := r.pusher.Snapshots()[0].Quota; s.Used != 0 {
			t.Errorf("without an access_token %d calls were counted", s.Used)
		}
		r.creds.fail(nil)
		time.Sleep(time.Minute)
		if s := r.pusher.Snapshots()[0].Quota; s.Used != 2 {
			t.Errorf("%d were counted, want the one without an answer and the one that was taken", s.Used)
		}
	})
}
