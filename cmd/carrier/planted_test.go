package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// plantedEnv names the fault that a carrier of buildPlanted has; without it, it has none.
const plantedEnv = "PLANTED_FAULT"

// plant is an edit of the source that makes a fault. It is made in a copy, for a build of its own: the service itself
// has no switches for tests.
type plant struct {
	file string // From the root of the module.
	at   string // What must be in the file exactly once.
	put  string // What is put in its place. planted(NAME) tells whether a fault is wanted.
}

// plants are the faults by name: what a careless change could do, and what the service exists to prevent.
var plants = map[string][]plant{
	"ack before commit": {{
		file: "internal/store/pebble/writer.go",
		at:   "	if x.err == nil {\n		x.err = s.apply(x)",
		put: `	if planted("ack before commit") {
		for _, op := range x.ops {
			op.Finish(nil)
		}
		x.ops = nil
		time.Sleep(20 * time.Millisecond)
	}
	if x.err == nil {
		x.err = s.apply(x)`,
	}},
	"sync off": {{
		file: "internal/store/pebble/writer.go",
		at:   "	return s.db.ApplyNoSyncWait(x.b, cdb.Sync)",
		put: `	if planted("sync off") {
		x.wrote = false
		return s.db.Apply(x.b, cdb.NoSync)
	}
	return s.db.ApplyNoSyncWait(x.b, cdb.Sync)`,
	}},
	"skip dedupe": {{
		file: "internal/store/pebble/apply.go",
		at:   "	if !x.w.ids.maybe(p.idHash) {",
		put:  `	if planted("skip dedupe") || !x.w.ids.maybe(p.idHash) {`,
	}},
	"drop on breaker open": {{
		file: "internal/pathpush/attempt.go",
		at:   "	a.guardEnd(work, push, &o)\n",
		put: `	a.guardEnd(work, push, &o)
	if planted("drop on breaker open") && o.Status == store.Pending && f.host.snapshot().State == "open" {
		o.Status = store.Discarded
	}
`,
	}},
	"reorder": {{
		file: "internal/pathpush/lane.go",
		at:   "	if at := l.pushes[0].NextAt; at.After(now) {",
		put: `	if planted("reorder") && len(l.pushes) > 1 {
		l.pushes[0], l.pushes[1] = l.pushes[1], l.pushes[0]
	}
	if at := l.pushes[0].NextAt; at.After(now) {`,
	}},
	"refresh on 9300507": {{
		file: "internal/pathpush/attempt.go",
		at:   "	case wechat.ScopeWaybill:\n",
		put: `	case wechat.ScopeWaybill:
		if planted("refresh on 9300507") {
			f.link.creds.Refused(accessToken)
		}
`,
	}},
	"retry on 40097": {{
		file: "internal/pathpush/policy.go",
		at:   "	switch a.scope {\n	case wechat.ScopeOK:\n",
		put: `	if planted("retry on 40097") && a.attempt.Errcode != nil && *a.attempt.Errcode == 40097 {
		a.scope = wechat.ScopeUpstream
	}
	switch a.scope {
	case wechat.ScopeOK:
`,
	}},
	// A node that goes on with what it once owned, whoever owns it now.
	"ignore lease epoch": {
		{
			file: "internal/store/postgres/ownership.go",
			at:   "	if !x.mine[slotOf(w)] {\n		return fmt.Errorf(",
			put:  "	if !planted(\"ignore lease epoch\") && !x.mine[slotOf(w)] {\n		return fmt.Errorf(",
		},
		{
			file: "internal/store/postgres/leases.go",
			at:   "	if l.renewed.IsZero() {\n		return false",
			put:  "	if planted(\"ignore lease epoch\") {\n		return true\n	}\n	if l.renewed.IsZero() {\n		return false",
		},
		{
			file: "internal/store/postgres/leases.go",
			at:   "	h := l.held[slot]\n	l.held[slot] = nil\n",
			put:  "	if planted(\"ignore lease epoch\") {\n		return\n	}\n	h := l.held[slot]\n	l.held[slot] = nil\n",
		},
		{
			file: "internal/store/postgres/leases.go",
			at:   "	if len(lost) == 0 {",
			put:  "	if planted(\"ignore lease epoch\") || len(lost) == 0 {",
		},
	},
}

// buildPlanted builds a carrier that has all the faults, each asleep until it is named.
func buildPlanted(t *testing.T) string {
	t.Helper()
	gotool, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("the faults are planted in a build of its own, which needs the go command: %v", err)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	write := func(file, text string) {
		copied := filepath.Join(dir, strings.ReplaceAll(file, string(filepath.Separator), "_"))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(root, file)] = copied
	}
	for file, text := range plantedSources(t, root) {
		write(file, text)
		write(filepath.Join(filepath.Dir(file), "planted.go"), fmt.Sprintf(
			"package %s\n\nimport \"os\"\n\nfunc planted(fault string) bool { return os.Getenv(%q) == fault }\n",
			filepath.Base(filepath.Dir(file)), plantedEnv))
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	replaced, path := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "carrier")
	if err := os.WriteFile(replaced, list, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), gotool, "build", "-buildvcs=false", "-overlay", replaced, "-o", path, "./cmd/carrier")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building a carrier with faults: %v\n%s", err, out)
	}
	return path
}

// plantedSources are the files of all plants, by their names from root, with the faults in them.
func plantedSources(t *testing.T, root string) map[string]string {
	t.Helper()
	sources := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(plants)) {
		for _, p := range plants[name] {
			text, ok := sources[p.file]
			if !ok {
				text = read(t, filepath.Join(root, p.file))
			}
			if n := strings.Count(text, p.at); n != 1 {
				t.Fatalf("the fault %q is planted in %s, which has this %d times: plant it anew\n%s", name, p.file, n, p.at)
			}
			sources[p.file] = strings.Replace(text, p.at, p.put, 1)
		}
	}
	return sources
}
