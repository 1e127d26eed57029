package admin

import (
	"errors"
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

// PageQuery selects a page of a list that has no filters.
type PageQuery struct {
	Limit  int    // 1 to store.MaxLimit.
	Before uint64 // Only rows with a smaller number; 0: from the newest.
}

// filter reads one parameter into a query; the text says what would be right when it can't.
type filter[Q any] struct {
	name string
	read func(q *Q, value string, now time.Time) bool
	want problem.Text
}

// conditions are the filters of pushes. Beside limit and cursor, they are all that a bulk replay can go by.
var conditions = []filter[store.Query]{
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
}

var (
	pushFilters  = slices.Concat(conditions, paging("pushes", rowsOfQuery))
	eventFilters = slices.Concat(conditions, []filter[store.Query]{
		{"verdict", readVerdict, problem.Text{En: "one of accepted, held, ignored, rejected", Zh: "accepted、held、ignored、rejected 之一"}},
	}, paging("events", rowsOfQuery))
	auditFilters = slices.Concat([]filter[store.AuditQuery]{
		{"by", readString(func(q *store.AuditQuery) *string { return &q.By }), anything},
		{"action", readAction, problem.Text{En: "one of " + strings.Join(store.Actions(), ", "), Zh: strings.Join(store.Actions(), "、") + " 之一"}},
		{"delivery_id", readString(func(q *store.AuditQuery) *string { return &q.DeliveryID }), anything},
		{"waybill_id", readString(func(q *store.AuditQuery) *string { return &q.WaybillID }), anything},
		{"since", readTime(func(q *store.AuditQuery) *time.Time { return &q.Since }), aTime},
		{"until", readTime(func(q *store.AuditQuery) *time.Time { return &q.Until }), aTime},
	}, paging("audit", func(q *store.AuditQuery) (*int, *uint64) { return &q.Limit, &q.Before }))
	replayFilters     = paging("replays", rowsOfPage)
	deadLetterFilters = paging("dead-letters", rowsOfPage)
)

// Filters lists, by the last part of a list's path, the parameters that it takes.
func Filters() map[string][]string {
	return map[string][]string{
		"pushes": namesOf(pushFilters), "events": namesOf(eventFilters), "audit": namesOf(auditFilters),
		"replays": namesOf(replayFilters), "dead-letters": namesOf(deadLetterFilters),
		"waybills": namesOf(findFilters("ends_with")), "silent": namesOf(silentFilters),
	}
}

// ReplayFilters lists the members that the filter of a bulk replay may have.
func ReplayFilters() []string { return namesOf(conditions) }

func namesOf[Q any](filters []filter[Q]) []string {
	names := make([]string, len(filters))
	for i, f := range filters {
		names[i] = f.name
	}
	return names
}

// paging are the two parameters that every list has whose pages begin at a number.
func paging[Q any](list string, rows func(*Q) (limit *int, before *uint64)) []filter[Q] {
	return pagingBy(func(q *Q) *int {
		limit, _ := rows(q)
		return limit
	}, func(q *Q, value string) bool {
		_, before := rows(q)
		return readCursor(list, before, value)
	})
}

// placePaging is paging for a list whose places only the store understands.
func placePaging[Q any](list string, rows func(*Q) (limit *int, after *string)) []filter[Q] {
	return pagingBy(func(q *Q) *int {
		limit, _ := rows(q)
		return limit
	}, func(q *Q, value string) bool {
		_, after := rows(q)
		return readPlace(list, after, value)
	})
}

func pagingBy[Q any](limit func(*Q) *int, readCursor func(q *Q, value string) bool) []filter[Q] {
	return []filter[Q]{
		{"limit", func(q *Q, value string, _ time.Time) bool { return readLimit(limit(q), value) },
			problem.Textf("a number from 1 to %d", "1 到 %d 的整数", store.MaxLimit)},
		{"cursor", func(q *Q, value string, _ time.Time) bool { return readCursor(q, value) },
			problem.Text{En: "the next_cursor of an earlier page of this list", Zh: "本列表上一页返回的 next_cursor"}},
	}
}

func rowsOfQuery(q *store.Query) (*int, *uint64) { return &q.Limit, &q.Before }
func rowsOfPage(q *PageQuery) (*int, *uint64)    { return &q.Limit, &q.Before }

var (
	anything = problem.Text{En: "a value that is not empty", Zh: "非空的值"}
	aTime    = problem.Text{
		En: "an RFC 3339 time such as 2026-01-02T15:04:05+08:00, or a duration back from now such as 24h",
		Zh: "RFC 3339 时间（例如 2026-01-02T15:04:05+08:00），或距现在的时长（例如 24h）",
	}
)

// PushQuery reads the filters of a list of pushes. An error is a problem that names each wrong one.
func PushQuery(values url.Values, now time.Time) (store.Query, error) {
	return parse(values, pushFilters, store.Query{Limit: defaultLimit}, now)
}

// EventQuery reads the filters of a list of events.
func EventQuery(values url.Values, now time.Time) (store.Query, error) {
	return parse(values, eventFilters, store.Query{Limit: defaultLimit}, now)
}

// AuditQuery reads the filters of the audit log.
func AuditQuery(values url.Values, now time.Time) (store.AuditQuery, error) {
	return parse(values, auditFilters, store.AuditQuery{Limit: defaultLimit}, now)
}

// ReplaysQuery reads which replays to list.
func ReplaysQuery(values url.Values, now time.Time) (PageQuery, error) {
	return parse(values, replayFilters, PageQuery{Limit: defaultLimit}, now)
}

// DeadLettersQuery reads which dead letters to list.
func DeadLettersQuery(values url.Values, now time.Time) (PageQuery, error) {
	return parse(values, deadLetterFilters, PageQuery{Limit: defaultLimit}, now)
}

// NoQuery refuses every parameter: a misspelt or misplaced one must not be ignored silently.
func NoQuery(values url.Values) error {
	_, err := parse(values, nil, struct{}{}, time.Time{})
	return err
}

// ReplayQuery reads the filter of a bulk replay: what a list of pushes takes, without its page. A relative time counts
// from now, and is a fixed one after that.
func ReplayQuery(values url.Values, now time.Time) (store.Query, error) {
	q, err := parse(values, conditions, store.Query{}, now)
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		for i := range p.Errors {
			p.Errors[i].Field = "filter." + p.Errors[i].Field
		}
	}
	return q, err
}

// parse reads values into q.
func parse[Q any](values url.Values, filters []filter[Q], q Q, now time.Time) (Q, error) {
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
	bad.Errors = append(bad.Errors, unknown(values, namesOf(filters))...)
	if since, until := period(q); len(bad.Errors) == 0 && !until.IsZero() && since.After(until) {
		bad.Errors = []problem.FieldError{{Field: "since", Code: "range", Message: problem.Text{
			En: "since is after until, so nothing can match; exchange them.", Zh: "since 晚于 until，不可能有结果；请对调。"}}}
	}
	if len(bad.Errors) > 0 {
		var none Q
		return none, bad
	}
	return q, nil
}

// period is when the rows of a query came; zero times where it does not say.
func period(query any) (since, until time.Time) {
	switch q := query.(type) {
	case store.Query:
		return q.Since, q.Until
	case store.AuditQuery:
		return q.Since, q.Until
	}
	return since, until
}

// maxUnknown bounds how much one answer says: each name is answered with all that there are.
const maxUnknown = 20

// unknown reports parameters that are no filter: a misspelt one must not widen a list silently.
func unknown(values url.Values, names []string) []problem.FieldError {
	there := problem.Textf("there are %s", "可用的有：%s", strings.Join(names, ", "))
	if len(names) == 0 {
		there = problem.Text{En: "this call takes none", Zh: "该接口不接受任何参数"}
	}
	var errs []problem.FieldError
	for name := range values {
		if !slices.Contains(names, name) {
			errs = append(errs, problem.FieldError{Field: name, Code: "unknown_filter", Message: problem.Text{
				En: "There is no filter " + strconv.Quote(name) + "; " + there.En + ".",
				Zh: "没有筛选条件 " + strconv.Quote(name) + "；" + there.Zh + "。"}})
		}
	}
	slices.SortFunc(errs, func(a, b problem.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return errs[:min(len(errs), maxUnknown)]
}

func readString[Q any](field func(*Q) *string) func(*Q, string, time.Time) bool {
	return func(q *Q, value string, _ time.Time) bool {
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

func readAction(q *store.AuditQuery, value string, _ time.Time) bool {
	q.Action = value
	return slices.Contains(store.Actions(), value)
}

func readTime[Q any](field func(*Q) *time.Time) func(*Q, string, time.Time) bool {
	return func(q *Q, value string, now time.Time) bool {
		if back, err := time.ParseDuration(value); err == nil {
			*field(q) = now.Add(-back)
			return back >= 0
		}
		// A + that was not escaped arrives as a space, and there is no other in such a time.
		t, err := time.Parse(time.RFC3339, strings.Replace(value, " ", "+", 1))
		*field(q) = t
		return err == nil && inRange(t)
	}
}

// inRange tells whether a time can be a filter. Nothing is older than 1970, and the year 1 would be no filter at all; a
// zone can move the last day of 9999 into a year that JSON can't hold.
func inRange(t time.Time) bool {
	year := t.UTC().Year()
	return 1970 <= year && year <= 9999
}

func readLimit(limit *int, value string) bool {
	n, err := strconv.Atoi(value)
	*limit = n
	return err == nil && n >= 1 && n <= store.MaxLimit
}
