// Package replay carries out bulk replays: it sends again what a filter finds, in order and behind live traffic.
//
//	Request ─▶ DryRun ─▶ Plan               what each push would meet, without changing anything
//	        └▶ Start ──▶ store.StartReplay  counted and kept; one leg per account
//	                          │
//	Run ─▶ job (a replay) ─▶ leg (an account) ─▶ page ─▶ rule per waybill ─▶ store.Requeue ─▶ the account's lanes
//
// A leg walks the pushes of its account that the filter finds, oldest first. A waybill is dealt with where its first
// push is met: all its pushes that the replay is of become pending in one step, and its lane sends them in order of
// acceptance, whatever was found first. What became pending and the leg's cursor are one commit, so that after a crash
// a leg goes on where it stood and repeats nothing.
//
// Guarantees:
//
//   - A replay makes a push pending at most once. What is pending already, or ended after the replay was made, is left
//     alone; so two replays of the same rows don't send twice.
//   - Live traffic comes first: an account has only so many pushes of replays on their way (maxBulk), steps are small,
//     and while an account is paused or its breaker is open its legs wait. Legs of different accounts don't wait for
//     each other; those of one account take turns, step by step.
//   - An error of the store ends nothing: the leg reads where it stands and goes on.
package replay
