package ingest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestAgesOfEvents: each event that is taken for the first time is told with its age, by every way in; what came before,
// and what could not be read, is not.
func TestAgesOfEvents(t *testing.T) {
	verdicts := map[state.Verdict]bool{
		state.Accepted: true, state.Held: true, state.Ignored: true, state.Rejected: true, state.Duplicate: false, state.Conflict: false,
	}
	for verdict, told := range verdicts {
		t.Run(verdict.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ages []string
				b := newBench(t, func(o *Options) {
					o.ObserveAge = func(source string, age time.Duration) { ages = append(ages, source+" "+age.String()) }
				})
				b.store.decide = func(events []state.Event) ([]store.Result, error) {
					results := make([]store.Result, len(events))
					for i := range results {
						results[i] = store.Result{Seq: uint64(i + 1), Verdict: verdict}
					}
					return results, nil
				}
				event := fmt.Sprintf(`{"id":"1","delivery_id":"SF","waybill_id":"W1","action_type":300002,"action_time":%d,"action_msg":"x"}`,
					time.Now().Add(-90*time.Second).Unix())
				b.post("/v1/events", event)
				b.post("/v1/events", `{"id":"2"}`)
				b.post("/v1/events/batch", "["+event+",{}]")
				b.hook.Take(t.Context(), []Message{{Source: "courier-app", Body: []byte(event)}})

				want := 0
				if told {
					want = 3
				}
				if len(ages) != want {
					t.Fatalf("told %q, want %d ages", ages, want)
				}
				for _, age := range ages {
					if age != "courier-app 1m30s" {
						t.Errorf("told %s", age)
					}
				}
			})
		})
	}
}
