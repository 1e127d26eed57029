package pebble

import (
	"flag"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"carrier/internal/store/postgres/pgtest"
	"carrier/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// everyStore has every store of the suite carried to PostgreSQL and back, and not only every fourth.
var everyStore = flag.Bool("migrate-every-store", false, "carry every store of the suite to PostgreSQL and back")

// TestSuite runs what every engine must pass, on a file system in memory.
func TestSuite(t *testing.T) {
	postgres := pgtest.Available() // Before: the server is no leak.
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	var mu sync.Mutex
	disks := map[testing.TB]*vfs.MemFS{}
	keys := map[testing.TB][][]byte{} // All that were ever used.
	storetest.Run(t, func(t testing.TB, home string, o storetest.Options) storetest.Engine {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		fs := disks[t]
		first := fs == nil
		if first {
			fs = vfs.NewMem()
			disks[t] = fs
		}
		options := Options{
			Machine: o.Machine, NoTokenWait: o.NoTokenWait, Retention: o.Retention, Feed: o.Feed, Now: o.Now, FS: fs,
			DiscardUnknown: o.DiscardUnknown, TokenKeys: o.TokenKeys, Notify: o.Notify,
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Waybills: 64,
			CacheBytes: 1 << 20, MemtableBytes: 1 << 20, maxNatural: 500, spanRows: 64,
		}
		if first && (!underRace || len(t.Name())%8 == 3) { // It runs when the store is closed for good; under race, for some.
			t.Cleanup(func() {
				mu.Lock()
				options.TokenKeys = keys[t]
				mu.Unlock()
				wantMigrates(t, home, options)
				if postgres == nil && (*everyStore || len(t.Name())%4 == 1) {
					wantThroughPostgres(t, home, options)
				}
			})
		}
		keys[t] = append(keys[t], o.TokenKeys...)
		s, err := Open(home, options)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		return s
	})
}
