package main

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// soak is how long TestSoak runs; a release is tested for hours.
var soak = flag.Duration("soak", 12*time.Second, "how long TestSoak runs")

// TestSoak has a service work for long under weather that changes all the time, and looks for what grows: goroutines, open
// files and, from 10 minutes on, when what the store holds in memory is full, memory. Run it with -soak 4h -timeout 5h for
// a release.
func TestSoak(t *testing.T) {
	const rate = 100
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Timeout: 2 * time.Second})
	p, c := serveCarrier(t, settings, settings.File(t))
	l := startLoad(t, seed, up, c, rate)

	rough := sandbox.Faults{Trouble: restless.Trouble} // Its access_tokens live: only so many may be replaced a day.
	weather := []sandbox.Faults{{}, rough, {Outage: true}, rough}
	const changes, looks = 24, 5 // Looks a change.
	var seen []resources
	tick := time.NewTicker(*soak / (changes * looks))
	defer tick.Stop()
	for i := range changes * looks {
		if i%looks == 0 {
			up.Faulty(t, weather[i/looks%len(weather)])
		}
		<-tick.C
		seen = append(seen, resourcesOf(t, c))
	}
	run := l.finish(t, nil)
	before, after := middle(seen[len(seen)/5:len(seen)*3/5]), middle(seen[len(seen)*3/5:])
	t.Logf("%v with %d changes of weather; %d events in %d requests, %d pushes, %d of them twice; at first %v, in the end %v",
		*soak, changes, len(run.Sent), l.Requests.Load(), run.Upstream.Applied, run.Upstream.Repeats, before, after)
	if float64(len(run.Sent)) < soak.Seconds()*rate/4 {
		t.Error("the run is void: too few events")
	}
	if after.goroutines > 1.2*before.goroutines+20 || after.files > 1.2*before.files+20 {
		t.Errorf("goroutines or open files grow: %v at first, %v in the end", before, after)
	}
	if *soak >= 10*time.Minute && after.memory > 1.2*before.memory {
		t.Errorf("memory grows: %v at first, %v in the end", before, after)
	}
	if status, _ := p.terminate(t); status != 0 {
		t.Errorf("the process ended with status %d:\n%s", status, p.tail(20))
	}
}

// resources is what a process has of the machine. What its machine does not tell is 0.
type resources struct {
	goroutines, files float64
	memory            float64 // In bytes.
}

func (r resources) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f open files, %.0f MiB", r.goroutines, r.files, r.memory/(1<<20))
}

// resourcesOf asks a service for what it has.
func resourcesOf(t *testing.T, c *apptest.Client) resources {
	t.Helper()
	_, body := c.Ask(t, http.MethodGet, "/metrics", nil)
	value := func(name string) float64 {
		_, rest, ok := strings.Cut(string(body), "\n"+name+" ")
		if !ok {
			return 0
		}
		text, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) {
			t.Errorf("%s is %q", name, text)
		}
		return n
	}
	r := resources{value("go_goroutines"), value("process_open_fds"), value("process_resident_memory_bytes")}
	if r.goroutines == 0 {
		t.Errorf("the service tells no number of goroutines:\n%.300s", body)
	}
	return r
}

// middle is the median of each.
func middle(all []resources) resources {
	median := func(of func(resources) float64) float64 {
		values := make([]float64, len(all))
		for i, r := range all {
			values[i] = of(r)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return resources{
		median(func(r resources) float64 { return r.goroutines }),
		median(func(r resources) float64 { return r.files }),
		median(func(r resources) float64 { return r.memory }),
	}
}
