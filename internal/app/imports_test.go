package app_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed says which of our own packages each package may import, tests aside. What is not listed is not allowed: an
// event is decided and stored in one half of the service and pushed in the other, and nothing but the store connects
// them; so ingest and pathpush never meet, and neither knows an engine.
var allowed = map[string][]string{
	// What everything else is made of: no import of ours.
	"internal/state":     {},
	"internal/durations": {},
	"internal/config":    {"internal/durations"},
	"internal/problem":   {},
	"internal/spans":     {},
	"internal/wechat":    {},
	"internal/callback":  {"internal/state"},
	"internal/sandbox":   {"internal/durations"}, // Knows nothing of wechat, so that a mistake can't be made on both sides.

	"api":                  {}, // Descriptions of the interface, embedded.
	"api/apicheck":         {"api"},
	"api/examples/go/hear": {}, // Nothing of ours, as their readers have none of it.
	"api/examples/go/send": {},

	"internal/store":                  {"internal/state"},
	"internal/store/codec":            {"internal/state", "internal/store"},
	"internal/store/content":          {"internal/state", "internal/store/codec"},
	"internal/store/seal":             {},
	"internal/store/engine":           {"internal/store"},
	"internal/store/migrate":          {"internal/store"},
	"internal/store/pebble":           {"internal/state", "internal/store", "internal/store/codec", "internal/store/content", "internal/store/engine", "internal/store/seal"},
	"internal/store/postgres":         {"internal/state", "internal/store", "internal/store/codec", "internal/store/content", "internal/store/engine", "internal/store/seal"},
	"internal/store/postgres/pglocal": {}, // Real PostgreSQL servers, for tests and measurements.
	"internal/store/postgres/pgtest":  {"internal/store/postgres/pglocal"},
	"internal/store/storetest":        {"internal/state", "internal/store"},
	"internal/telemetry":              {"internal/spans", "internal/store"},

	"internal/ingest":   {"internal/durations", "internal/problem", "internal/spans", "internal/state", "internal/store"},
	"internal/orders":   {"internal/callback", "internal/problem", "internal/spans", "internal/state", "internal/store"},
	"internal/replay":   {"internal/durations", "internal/state", "internal/store"},
	"internal/merchant": {"internal/wechat"},
	"internal/verify":   {"internal/spans", "internal/state", "internal/store", "internal/wechat"},
	"internal/pathpush": {"internal/durations", "internal/spans", "internal/state", "internal/store", "internal/wechat"},
	"internal/admin": {"internal/merchant", "internal/pathpush", "internal/problem", "internal/replay", "internal/state", "internal/store", "internal/telemetry",
		"internal/verify", "internal/wechat"},
	"internal/bus":          {"api", "internal/ingest", "internal/orders", "internal/problem", "internal/spans", "internal/state", "internal/store"},
	"internal/bus/natstest": {}, // Real NATS servers, for tests.
	"internal/logtest":      {}, // Logs that tests read.
	"internal/wiretest":     {}, // Networks that fail, for tests.

	"internal/doctor": {"internal/bus", "internal/callback", "internal/config", "internal/problem", "internal/store/pebble", "internal/store/postgres",
		"internal/wechat"},

	"internal/console": {"internal/admin", "internal/problem", "internal/replay", "internal/state", "internal/store", "internal/verify"},

	"internal/server": {"api", "internal/admin", "internal/console", "internal/problem", "internal/replay", "internal/state", "internal/verify", "internal/wechat"},
	"internal/sender": {"internal/state"},

	// Knows the admin API only by its wire, as any other program would.
	"internal/adminclient": {},
	"internal/release":     {}, // Builds and packs what is handed out.

	// The one package that knows all parts, and what runs the whole of it.
	"internal/app": {"internal/admin", "internal/bus", "internal/callback", "internal/config", "internal/console", "internal/ingest", "internal/merchant", "internal/orders", "internal/pathpush", "internal/replay", "internal/server",
		"internal/spans", "internal/state", "internal/store", "internal/store/pebble", "internal/store/postgres", "internal/telemetry", "internal/verify", "internal/wechat"},
	"internal/app/apptest": {"internal/sandbox", "internal/wiretest"},
	"internal/demo":        {"internal/app", "internal/config", "internal/durations", "internal/sandbox", "internal/state", "internal/store"},
	"internal/bench": {"internal/app", "internal/config", "internal/durations", "internal/ingest", "internal/sandbox", "internal/server", "internal/state",
		"internal/store", "internal/store/pebble", "internal/store/postgres/pglocal", "internal/telemetry"},

	"cmd/carrier": {"internal/adminclient", "internal/app", "internal/bench", "internal/bus", "internal/config", "internal/demo", "internal/doctor",
		"internal/ingest", "internal/merchant", "internal/problem", "internal/sandbox", "internal/sender", "internal/state", "internal/store", "internal/store/migrate", "internal/store/pebble", "internal/store/postgres", "internal/telemetry", "internal/wechat"},
}

// TestImportDirections reads the imports of every package and fails on any that is not in the table.
func TestImportDirections(t *testing.T) {
	found := imports(t, filepath.Join("..", ".."))
	for _, pkg := range slices.Sorted(maps.Keys(found)) {
		want, ok := allowed[pkg]
		if !ok {
			t.Errorf("package %s is not in the table: add it, with what it may import", pkg)
			continue
		}
		for _, imported := range slices.Sorted(maps.Keys(found[pkg])) {
			if !slices.Contains(want, imported) {
				t.Errorf("%s imports %s in %s: not a direction in which imports go here", pkg, imported, found[pkg][imported])
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(allowed)) {
		if found[pkg] == nil {
			t.Errorf("package %s is in the table and not in the module: take it out", pkg)
		}
	}
}

// imports maps each package of the module to what it imports of ours, and to a file that does.
func imports(t *testing.T, root string) map[string]map[string]string {
	t.Helper()
	const module = "carrier/"
	found := map[string]map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return skip(root, path)
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(dir)
		if found[pkg] == nil {
			found[pkg] = map[string]string{}
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if ours, ok := strings.CutPrefix(name, module); ok {
				found[pkg][ours] = filepath.Base(path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// skip leaves out what is no package of this module: hidden folders, test data, and modules of their own.
func skip(root, path string) error {
	name := filepath.Base(path)
	if path != root && (name[0] == '.' || name[0] == '_' || name == "testdata") {
		return filepath.SkipDir
	}
	if own, err := filepath.Glob(filepath.Join(path, "go.mod")); err != nil || path != root && len(own) > 0 {
		return filepath.SkipDir
	}
	return nil
}
