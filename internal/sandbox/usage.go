package sandbox

import (
	"maps"
	"math"
	"net/http"
	"sync"
	"time"
)

// dailyLimit is how many of a call upstream takes a day from one appid, as far as that is public: of getPath, for a
// mini program with WeChat Pay.
const dailyLimit = 1_000_000

// maxUsages bounds how many calls of how many appids are counted; beyond, all are forgotten and counted anew.
const maxUsages = 100_000

// usages count what each appid has used of each call. Safe for concurrent use.
type usages struct {
	mu     sync.Mutex // Owns what follows.
	of     map[usageKey]*usage
	clears map[string]*window // By appid: how often clear_quota was done this month.
}

type usageKey struct{ appID, call string }

// usage is what one appid has used of one call.
type usage struct{ day, minute window }

func newUsages() *usages { return &usages{of: map[usageKey]*usage{}, clears: map[string]*window{}} }

// reset forgets all: quotas are counted from when they were set.
func (us *usages) reset() {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.of = map[usageKey]*usage{}
}

// find needs mu.
func (us *usages) find(appID, call string) *usage {
	key := usageKey{appID, call}
	u := us.of[key]
	if u == nil {
		if len(us.of) >= maxUsages {
			clear(us.of)
		}
		u = new(usage)
		us.of[key] = u
	}
	return u
}

// count counts a call that has no limit here.
func (us *usages) count(appID, call string, now time.Time) {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.find(appID, call).day.take(day(now), math.MaxInt)
}

// takePush counts one push of an appid against the quotas.
func (us *usages) takePush(appID string, fs *faults, now time.Time) *refusal {
	perDay, perMinute := fs.quotas()
	us.mu.Lock()
	defer us.mu.Unlock()
	u := us.find(appID, updateCall)
	if !u.minute.take(minute(now), orNoLimit(perMinute)) {
		return refuse(codeMinuteQuota, "")
	}
	if !u.day.take(day(now), orNoLimit(perDay)) {
		return refuse(codeDayQuota, "")
	}
	return nil
}

func orNoLimit(limit int) int {
	if limit == 0 {
		return math.MaxInt
	}
	return limit
}

// today is how often an appid has used a call today.
func (us *usages) today(appID, call string, now time.Time) int {
	us.mu.Lock()
	defer us.mu.Unlock()
	if u := us.of[usageKey{appID, call}]; u != nil && u.day.at == day(now) {
		return u.day.used
	}
	return 0
}

// maxClears is how often a month an appid may clear what it used.
const maxClears = 10

// clear forgets what an appid has used today; false if it did so too often this month.
func (us *usages) clear(appID string, now time.Time) bool {
	us.mu.Lock()
	defer us.mu.Unlock()
	if us.clears[appID] == nil {
		if len(us.clears) >= maxUsages {
			clear(us.clears)
		}
		us.clears[appID] = new(window)
	}
	if !us.clears[appID].take(month(now), maxClears) {
		return false
	}
	maps.DeleteFunc(us.of, func(key usageKey, _ *usage) bool { return key.appID == appID })
	return true
}

// clearQuota is POST /cgi-bin/clear_quota (重置API调用次数).
func (s *Sandbox) clearQuota(w http.ResponseWriter, r *http.Request) {
	s.openAPI(w, r, func(appID string, p part) (any, *refusal) {
		given := p.text("appid", 64, required)
		switch {
		case p.no != nil:
			return nil, p.no
		case given != appID:
			return nil, refuse(codeAppID, "")
		case !s.usage.clear(appID, time.Now()):
			return nil, refuse(codeNoClear, "")
		}
		return struct {
			Errcode int    `json:"errcode"`
			Errmsg  string `json:"errmsg"`
		}{codeOK, messages[codeOK]}, nil
	})
}

// quotaGet is POST /cgi-bin/openapi/quota/get (查询API调用额度).
func (s *Sandbox) quotaGet(w http.ResponseWriter, r *http.Request) {
	s.openAPI(w, r, func(appID string, p part) (any, *refusal) {
		call := p.text("cgi_path", 256, required)
		if p.no != nil {
			return nil, p.no
		}
		if !s.counted[call] {
			return nil, refuse(codeNoPath, "")
		}
		return s.quota(appID, call, time.Now()), nil
	})
}

type (
	quotaAnswer struct {
		Errcode int        `json:"errcode"`
		Errmsg  string     `json:"errmsg"`
		Quota   dayQuota   `json:"quota"`
		Rate    *rateQuota `json:"rate_limit,omitzero"`
	}
	dayQuota struct {
		DailyLimit int `json:"daily_limit"`
		Used       int `json:"used"`
		Remain     int `json:"remain"`
	}
	rateQuota struct {
		CallCount     int `json:"call_count"`
		RefreshSecond int `json:"refresh_second"`
	}
)

func (s *Sandbox) quota(appID, call string, now time.Time) quotaAnswer {
	limit := dailyLimit
	a := quotaAnswer{Errmsg: messages[codeOK]}
	if call == updateCall {
		perDay, perMinute := s.faults.quotas()
		if perDay > 0 {
			limit = perDay
		}
		if perMinute > 0 {
			a.Rate = &rateQuota{perMinute, 60}
		}
	}
	used := s.usage.today(appID, call, now)
	a.Quota = dayQuota{limit, used, max(limit-used, 0)}
	return a
}
