package admin

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// defaultLimit is the rows of a page when nobody asks for another number.
const defaultLimit = 100

// filter reads one parameter into a query; the text says what would be right when it can't.
type filter struct {
	name string
	read func(q *store.Query, value string, now time.Time) bool
	want problem.Text
}

var commonFilters = []filter{
	{"status", readText(func(q *store.Query) *store.Status { return &q.Status }),
		problem.Text{En: "one of pending, delivered, failed, discarded", Zh: "pending、delivered、failed、discarded 之一"}},
	{"waiting_for", readWaitingFor,
		problem.Text{En: "one of retry, breaker, account, token, waybill", Zh: "retry、breaker、account、token、waybill 之一"}},
	{"errcode", readErrcode, problem.Text{En: "a whole number, such as 40199", Zh: "整数，例如 40199"}},
	{"reason", readString(func(q *store.Query) *string { return &q.Reason }), anything},
	{"delivery_id", readString(func(q *store.Query) *string { return &q.DeliveryID }), anything},
	{"waybill_id", readString(func(q *store.Query) *string { return &q.WaybillID }), anything},
	{"action_type", readActionType, problem.Text{En: "one of the nine codes, such as 300003", Zh: "九种代码之一，例如 300003"}},
	{"source", readString(func(q *store.Query) *string { return &q.Source }), anything},
	{"since", readTime(func(q *store.Query) *time.Time { return &q.Since }), aTime},
	{"until", readTime(func(q *store.Query) *time.Time { return &q.Until }), aTime},
	{"limit", readLimit, problem.Textf("a number from 1 to %d", "1 到 %d 的整数", store.MaxLimit)},
	{"cursor", readCursor, problem.Text{En: "the next_cursor of an earlier page", Zh: "上一页返回的 next_cursor"}},
}

var eventFilters = append(slices.Clone(commonFilters), filter{
	"verdict", readVerdict,
	problem.Text{En: "one of accepted, held, ignored, rejected", Zh: "accepted、held、ignored、rejected 之一"},
})

var (
	anything = problem.Text{En: "a value that is not empty", Zh: "非空的值"}
	aTime    = problem.Text{
		En: "an RFC 3339 time such as 2026-01-02T15:04:05+08:00, or a duration back from now such as 24h",
		Zh: "RFC 3339 时间（例如 2026-01-02T15:04:05+08:00），或距现在的时长（例如 24h）",
	}
)

// PushQuery reads the filters of a list of pushes. An error is a problem that names each wrong one.
func PushQuery(values url.Values, now time.Time) (store.Query, error) {
	return parse(values, commonFilters, now)
}

// EventQuery reads the filters of a list of events.
func EventQuery(values url.Values, now time.Time) (store.Query, error) {
	return parse(values, eventFilters, now)
}

func parse(values url.Values, filters []filter, now time.Time) (store.Query, error) {
	q := store.Query{Limit: defaultLimit}
	bad := problem.New(problem.InvalidFilter)
	for _, f := range filters {
		given, ok := values[f.name]
		if !ok {
			continue
		}
		if len(given) != 1 || given[0] == "" || !f.read(&q, given[0], now) {
			bad.Errors = append(bad.Errors, problem.FieldError{Field: f.name, Code: "value", Message: problem.Text{
				En: f.name + " must be given once, as " + f.want.En + ".",
				Zh: f.name + " 只能出现一次，取值应为：" + f.want.Zh + "。",
			}})
		}
	}
	bad.Errors = append(bad.Errors, unknown(values, filters)...)
	if len(bad.Errors) > 0 {
		return store.Query{}, bad
	}
	return q, nil
}

// unknown reports parameters that are no filter: a misspelt one must not widen a list silently.
func unknown(values url.Values, filters []filter) []problem.FieldError {
	names := make([]string, len(filters))
	for i, f := range filters {
		names[i] = f.name
	}
	var errs []problem.FieldError
	for name := range values {
		if !slices.Contains(names, name) {
			errs = append(errs, problem.FieldError{Field: name, Code: "unknown_filter", Message: problem.Textf(
				"There is no filter %q; there are %s.", "没有筛选条件 %q；可用的有：%s。", name, strings.Join(names, ", "))})
		}
	}
	slices.SortFunc(errs, func(a, b problem.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return errs
}

func readString(field func(*store.Query) *string) func(*store.Query, string, time.Time) bool {
	return func(q *store.Query, value string, _ time.Time) bool {
		*field(q) = value
		return true
	}
}

func readText[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](field func(*store.Query) *T) func(*store.Query, string, time.Time) bool {
	return func(q *store.Query, value string, _ time.Time) bool {
		return P(field(q)).UnmarshalText([]byte(value)) == nil
	}
}

// readVerdict takes the verdicts of events that are kept. The others name nothing that could be listed.
func readVerdict(q *store.Query, value string, _ time.Time) bool {
	if q.Verdict.UnmarshalText([]byte(value)) != nil {
		return false
	}
	switch q.Verdict {
	case state.Accepted, state.Held, state.Ignored, state.Rejected:
		return true
	}
	return false
}

func readWaitingFor(q *store.Query, value string, _ time.Time) bool {
	q.WaitingFor = store.WaitingFor(value)
	switch q.WaitingFor {
	case store.WaitRetry, store.WaitBreaker, store.WaitAccount, store.WaitToken, store.WaitWaybill:
		return true
	}
	return false
}

func readErrcode(q *store.Query, value string, _ time.Time) bool {
	n, err := strconv.Atoi(value)
	q.Errcode = &n
	return err == nil
}

func readActionType(q *store.Query, value string, _ time.Time) bool {
	n, err := strconv.ParseInt(value, 10, 32)
	q.Type = state.ActionType(n)
	return err == nil && q.Type.Valid()
}

func readTime(field func(*store.Query) *time.Time) func(*store.Query, string, time.Time) bool {
	return func(q *store.Query, value string, now time.Time) bool {
		if back, err := time.ParseDuration(value); err == nil {
			*field(q) = now.Add(-back)
			return back >= 0
		}
		// A + that was not escaped arrives as a space, and there is no other in such a time.
		t, err := time.Parse(time.RFC3339, strings.Replace(value, " ", "+", 1))
		*field(q) = t
		return err == nil
	}
}

func readLimit(q *store.Query, value string, _ time.Time) bool {
	n, err := strconv.Atoi(value)
	q.Limit = n
	return err == nil && n >= 1 && n <= store.MaxLimit
}

func readCursor(q *store.Query, value string, _ time.Time) bool {
	n, err := strconv.ParseUint(value, 36, 64)
	q.Before = n
	return err == nil && n > 0 && n < math.MaxInt64
}
