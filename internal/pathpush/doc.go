// Package pathpush sends what is stored upstream: each waybill's pushes in order, one at a time; different waybills
// in parallel.
//
// The way of a push:
//
//	store.Feed ─▶ lane (a waybill's open pushes) ─▶ scheduler ─▶ attempt ─▶ policy ─▶ store.Settle ─▶ lane goes on
//	store.Sweep ─▶ loader ─┘                          │
//	                              gate (pause, rate) · breaker (per host) · ramp · rate limit
//
// Each account has one scheduler. It holds lanes in memory up to a limit; the rest waits in the store and is swept
// in when there is room. A lane in memory is complete: it holds all open pushes of its waybill, so nothing can
// overtake what is still in the store. Lanes fed by new events and lanes swept in share the account by weight, and what
// bulk replays put back takes what those leave (class.go).
//
// Nothing about a push on its way is stored: a lane goes on only when its outcome is durable, so a crash repeats at
// most the one push of a waybill that was in flight.
//
// Three things stop an account's pushes: an operator, answers that speak of the account, and the guard against mass
// failing (guard.go). A breaker that is open, or a pause that answers asked for, can be tried at once (probe.go).
//
// The calls of each day in Beijing are counted (quota.go), and upstream is asked how it counts them (quotaask.go). When
// what remains of the day's quota is short, transit scans wait, and the others go on (reserve.go).
//
// What an answer means is decided in one place (policy.go), by what the answer speaks of (wechat.Scope).
package pathpush
