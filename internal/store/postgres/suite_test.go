package postgres

import (
	"flag"
	"log/slog"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/store/postgres/pgtest"
	"carrier/internal/store/storetest"
)

// everyStore has every store of the suite carried to the other engine and back, and not only every fourth.
var everyStore = flag.Bool("migrate-every-store", false, "carry every store of the suite to the embedded engine and back")

// moves tells whether a test's store is carried: to make a database takes longer than most tests do.
func moves(test string) bool { return *everyStore || len(test)%4 == 1 }

// TestSuite runs what every engine must pass.
func TestSuite(t *testing.T) {
	var mu sync.Mutex
	databases := map[testing.TB]map[string]*pgtest.Database{}
	keys := map[testing.TB][][]byte{} // All that were ever used.
	storetest.Run(t, func(t testing.TB, home string, o storetest.Options) storetest.Engine {
		t.Helper()
		mu.Lock()
		if databases[t] == nil {
			databases[t] = map[string]*pgtest.Database{}
		}
		db := databases[t][home]
		keys[t] = append(keys[t], o.TokenKeys...)
		mu.Unlock()
		if db == nil {
			db = schema.Start(t)
			mu.Lock()
			databases[t][home] = db
			mu.Unlock()
			if moves(t.Name()) { // When the store is closed for good.
				back := schema.Start(t)
				t.Cleanup(func() {
					mu.Lock()
					o := exportOptions()
					o.TokenKeys = keys[t]
					mu.Unlock()
					wantRoundTrip(t, databaseSide(db.URL(), o), folderSide(vfs.NewMem(), "store", o), databaseSide(back.URL(), o))
				})
			}
		}
		s, err := Open(t.Context(), db.URL(), Options{
			Machine: o.Machine, NoTokenWait: o.NoTokenWait, Retention: o.Retention, Feed: o.Feed, Now: o.Now,
			DiscardUnknown: o.DiscardUnknown, TokenKeys: o.TokenKeys, Notify: o.Notify,
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), partitionRows: 64, Node: "suite",
		})
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		return s
	})
}
