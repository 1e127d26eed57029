package postgres

import (
	"log/slog"
	"sync"
	"testing"

	"carrier/internal/store/postgres/pgtest"
	"carrier/internal/store/storetest"
)

// TestSuite runs what every engine must pass.
func TestSuite(t *testing.T) {
	var mu sync.Mutex
	databases := map[testing.TB]map[string]*pgtest.Database{}
	storetest.Run(t, func(t testing.TB, home string, o storetest.Options) storetest.Engine {
		t.Helper()
		mu.Lock()
		if databases[t] == nil {
			databases[t] = map[string]*pgtest.Database{}
		}
		db := databases[t][home]
		mu.Unlock()
		if db == nil {
			db = schema.Start(t)
			mu.Lock()
			databases[t][home] = db
			mu.Unlock()
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
