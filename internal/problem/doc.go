// Package problem is what a caller is told when something is not done: RFC 9457 problem documents in English or
// Chinese, out of one catalogue of codes.
//
// A [Problem] is an error, so that it can travel up from wherever it is noticed to the one place that answers (the
// HTTP error handler, a NATS reply). It holds both languages until it is written:
//
//	return problem.New(problem.NotFound).Say("There is no push 17.", "没有编号为 17 的推送。")
//	...
//	if p, ok := errors.AsType[*problem.Problem](err); ok {
//		return p.Write(w, r)
//	}
//
// The document has the members type, title, status, detail, code, where fields are wrong errors, and whatever
// [Problem.With] added. code is what programs go by: it never changes its meaning. title and detail are for people,
// and a detail says what to do next.
package problem
