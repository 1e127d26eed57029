package postgres

import (
	"flag"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
	"carrier/internal/store/postgres/pgtest"
)

// moveEvents is how many events BenchmarkMove moves. For figures:
//
//	go test ./internal/store/postgres -run '^$' -bench Move -benchtime 1x -move-events 1000000
var moveEvents = flag.Int("move-events", 20_000, "how many events BenchmarkMove moves")

// BenchmarkMove moves a store with delivered events, four a waybill, from a folder to a database and back.
func BenchmarkMove(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		o := exportOptions()
		o.partitionRows = 0
		dir := b.TempDir()
		fillFolder(b, dir, *moveEvents)
		there := databaseSide(pgtest.Start(b).URL(), o)
		b.StartTimer()
		for _, way := range []struct {
			name     string
			from, to side
		}{{"to-database", folderSide(vfs.Default, dir+"/store", o), there}, {"to-folder", there, folderSide(vfs.Default, dir+"/back", o)}} {
			begun := time.Now()
			report, err := move(way.from, way.to)
			if err != nil || report.Events != *moveEvents {
				b.Fatalf("%s: %+v, %v", way.name, report, err)
			}
			b.ReportMetric(time.Since(begun).Seconds(), way.name+"-s")
		}
	}
}

// fillFolder makes a store of delivered events.
func fillFolder(b *testing.B, dir string, events int) {
	s, err := pebble.Open(dir+"/store", pebble.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	var settled sync.WaitGroup
	const lot = 1000
	for from := 0; from < events; from += lot {
		batch := make([]state.Event, 0, lot)
		for n := from; n < min(from+lot, events); n++ {
			stage := []state.ActionType{state.PickupDone, state.Transit, state.DeliveryBegun, state.Signed}[n%4]
			batch = append(batch, scanOf(fmt.Sprintf("SF%013d", n/4), n%4, stage))
		}
		results, err := s.Apply(b.Context(), batch)
		if err != nil {
			b.Fatal(err)
		}
		for i, r := range results {
			settled.Add(1)
			s.Settle(store.Outcome{
				Seq: r.Seq, Waybill: batch[i].Waybill(), Status: store.Delivered,
				Attempt: &store.Attempt{At: time.Now(), Duration: 50 * time.Millisecond, Errcode: new(0), Errmsg: "ok", RID: "6543c2a1-0badcafe-12345678"},
			}, func(err error) {
				if err != nil {
					b.Error(err)
				}
				settled.Done()
			})
		}
	}
	settled.Wait()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
