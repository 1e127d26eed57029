package apptest

import (
	"testing"
	"time"
)

// pollEvery is how often a condition is looked at again.
const pollEvery = 5 * time.Millisecond

// Eventually waits until ok is true, and ends the test when it is not within the time. what says what is waited for;
// it is called at the end only, so it may be costly.
func Eventually(t testing.TB, within time.Duration, ok func() bool, what func() string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what())
		}
		time.Sleep(pollEvery)
	}
}

// Text is a constant for Eventually.
func Text(s string) func() string { return func() string { return s } }
