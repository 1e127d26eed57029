// Package engine is what every engine of the store is made of beside its tables: how callers hand operations over and wait
// for them (Waiter, HandOver), how the background waits for deadlines (Alarm), and how what lasts is logged once (Reports).
package engine
