// Package state decides what a scan event means for its waybill.
//
// It is pure: no clock, no I/O, nothing of ours imported. The transition table (table.go) is data;
// [Next] reads one cell of it. [Machine] folds a waybill's [Timeline] and decides new events against it:
// events that repeat what is known, events that arrive late, events that imply a scan not yet seen.
//
// What a verdict promises:
//
//	accepted   the event is in the timeline and is pushed upstream
//	held       it implies a missing scan and waits for it, at most the reorder window
//	ignored    it repeats what is known and is not pushed
//	rejected   with it the timeline would hold an illegal step
//
// Every timeline that this package returns is free of illegal steps, in whatever order its events arrived.
package state
