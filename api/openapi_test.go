package api_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"carrier/api"
	"carrier/api/apicheck"
	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/replay"
	"carrier/internal/server"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/verify"
	"carrier/internal/wechat"
)

func document(t *testing.T) *apicheck.Document {
	t.Helper()
	d, err := apicheck.Load()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDescriptionIsValid: kin-openapi validates the structure, and the examples as far as it can. What it can't check in
// a description of version 3.1 the tests below do: examples against schemas that refer to others, by JSON Schema 2020-12.
func TestDescriptionIsValid(t *testing.T) {
	d := document(t)
	if err := d.Kin.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.Kin.OpenAPI, "3.1.") {
		t.Errorf("the version is %s", d.Kin.OpenAPI)
	}
}

var parameter = regexp.MustCompile(`:[a-z]+|\*|\{[a-z_]+\}`)

// TestRoutes: the description has every route with the same access on the same listener, and no other.
func TestRoutes(t *testing.T) {
	want := map[string]string{}
	for _, r := range server.Routes() {
		key := r.Method + " " + parameter.ReplaceAllString(r.Path, "{}")
		where := "events"
		if r.Admin {
			where = "admin"
		}
		if had := want[key]; had != "" {
			where = "admin+events" // Both listeners have it.
		}
		want[key] = r.Access + " on " + where
	}
	got := map[string]string{}
	operations(t, func(method, path string, op apicheck.Node) {
		key := strings.ToUpper(method) + " " + parameter.ReplaceAllString(path, "{}")
		got[key] = fmt.Sprint(text(t, op, "x-access"), " on ", listener(t, path))
	})
	same(t, got, want)
}

// listener tells from the path's servers where it is served.
func listener(t *testing.T, path string) string {
	t.Helper()
	d := document(t)
	servers, ok := d.At("paths", path, "servers")
	if !ok {
		return "admin"
	}
	var names []string
	for _, s := range servers.Value.([]any) {
		name := "events"
		if s.(map[string]any)["url"] == "/" {
			name = "admin"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, "+")
}

// operations calls f for every operation.
func operations(t *testing.T, f func(method, path string, op apicheck.Node)) {
	t.Helper()
	d := document(t)
	paths, _ := d.At("paths")
	for _, path := range paths.Names() {
		item, _ := d.At("paths", path)
		for _, method := range item.Names() {
			if op, _ := d.Member(item, method); slices.Contains([]string{"get", "put", "post", "delete", "patch"}, method) {
				f(method, path, op)
			}
		}
	}
}

// TestEveryOperationIsTold: a summary in both languages, an id, credentials that fit the access, and for every JSON body
// an example.
func TestEveryOperationIsTold(t *testing.T) {
	d := document(t)
	security := map[string]string{"anyone": "[]", "wechat": "[map[wechatSignature:[]]]", "source": "[map[sourceKey:[]] map[webhookId:[] webhookSignature:[] webhookTimestamp:[]]]"}
	ids := map[string]bool{}
	operations(t, func(method, path string, op apicheck.Node) {
		name := method + " " + path
		en, zh, _ := strings.Cut(text(t, op, "summary"), " · ")
		if en == "" || hasHan(en) || !hasHan(zh) {
			t.Errorf("%s: the summary is %q and %q, want English and Chinese", name, en, zh)
		}
		if id := text(t, op, "operationId"); ids[id] {
			t.Errorf("%s: another operation has the id %q", name, id)
		} else {
			ids[id] = true
		}
		access := text(t, op, "x-access")
		given, has := d.Member(op, "security")
		if want := security[access]; has && fmt.Sprint(given.Value) != want || !has && want != "" {
			t.Errorf("%s is for %s, and its security is %v", name, access, given.Value)
		}
		for _, status := range []string{"401", "403"} {
			_, told := d.Member(must(t, op, "responses"), status)
			if want := access == "operator" || access != "anyone" && status == "401"; told != want && path != "/v1/events" {
				t.Errorf("%s is for %s; that it answers %s is told: %t", name, access, status, told)
			}
		}
		told(t, name, op)
	})
}

// told checks that bodies of the operation have examples, and what answers are a Chinese word.
func told(t *testing.T, name string, op apicheck.Node) {
	t.Helper()
	d := document(t)
	bodies := map[string]apicheck.Node{}
	if body, has := d.Member(op, "requestBody"); has {
		bodies["the request"] = body
	}
	responses := must(t, op, "responses")
	for _, status := range responses.Names() {
		answer := must(t, responses, status)
		bodies[status] = answer
		if what := text(t, answer, "description"); !hasHan(what) && status != "default" && status[0] == '2' {
			t.Errorf("%s: %s is described in one language: %q", name, status, what)
		}
	}
	for what, body := range bodies {
		content, _ := d.Member(body, "content")
		for _, mediaType := range content.Names() {
			if media := must(t, content, mediaType); has(media, "schema") && !has(media, "examples") && !has(media, "example") {
				t.Errorf("%s: %s as %s has no example", name, what, mediaType)
			}
		}
	}
}

// TestExamples: every example of a body, a parameter, a header and a schema is one.
func TestExamples(t *testing.T) {
	d := document(t)
	checked := 0
	check := func(example apicheck.Node, schema string, strict bool) {
		t.Helper()
		checked++
		if err := d.Validate(schema, example.Value, strict); err != nil {
			t.Errorf("%s: %v", example.Pointer, err)
		}
	}
	var walk func(n apicheck.Node)
	walk = func(n apicheck.Node) {
		if schema, isTyped := d.Member(n, "schema"); isTyped {
			// An example of an answer shows only what is told of.
			strict := strings.Contains(n.Pointer, "/responses/")
			if example, ok := d.Member(n, "example"); ok {
				check(example, schema.Pointer, strict)
			}
			examples, _ := d.Member(n, "examples")
			for _, name := range examples.Names() {
				check(must(t, must(t, examples, name), "value"), schema.Pointer, strict)
			}
		}
		if list, ok := member(n, "examples").([]any); ok { // A schema's own.
			for i, raw := range list {
				check(apicheck.Node{Value: raw, Pointer: n.Pointer + "/examples/" + strconv.Itoa(i)}, n.Pointer, false)
			}
		}
		for _, name := range n.Names() {
			if raw := n.Value.(map[string]any)[name]; name != "examples" && name != "example" {
				walk(apicheck.Node{Value: raw, Pointer: n.Pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)})
			}
		}
		if list, ok := n.Value.([]any); ok {
			for i, raw := range list {
				walk(apicheck.Node{Value: raw, Pointer: n.Pointer + "/" + strconv.Itoa(i)})
			}
		}
	}
	root, _ := d.At()
	walk(root)
	schemas, _ := d.At("components", "schemas")
	for _, name := range schemas.Names() {
		if _, err := d.Schema("/components/schemas/"+name, true); err != nil {
			t.Error(err)
		}
	}
	if checked < 100 {
		t.Errorf("only %d examples were found", checked)
	}
}

// TestEveryComponentIsUsed: an example or schema or answer that nothing refers to is a leftover.
func TestEveryComponentIsUsed(t *testing.T) {
	d := document(t)
	for _, kind := range []string{"schemas", "examples", "parameters", "responses", "headers"} {
		n, _ := d.At("components", kind)
		for _, name := range n.Names() {
			if ref := "'#/components/" + kind + "/" + name + "'"; !strings.Contains(api.OpenAPI, ref) {
				t.Errorf("nothing refers to %s", ref)
			}
		}
	}
}

// TestWordsAreTheCodes: what the description lists is what the code knows.
func TestWordsAreTheCodes(t *testing.T) {
	var codes []string
	for _, e := range problem.Codes() {
		codes = append(codes, string(e.Code))
	}
	var reasons []string
	for r := state.Reason(0); !strings.HasPrefix(r.String(), "reason("); r++ {
		reasons = append(reasons, r.String())
	}
	var actions []string
	for _, a := range state.ActionTypes {
		actions = append(actions, a.String())
	}
	kept := []state.Verdict{state.Accepted, state.Held, state.Ignored, state.Rejected}
	waits := []store.WaitingFor{store.WaitNothing, store.WaitRetry, store.WaitBreaker, store.WaitAccount, store.WaitToken, store.WaitWaybill}
	scopes := []wechat.Scope{wechat.ScopeOK, wechat.ScopeUpstream, wechat.ScopeCredential, wechat.ScopeAccount, wechat.ScopeRate,
		wechat.ScopeWaybill, wechat.ScopeEvent}
	tests := map[string][]string{
		"ProblemCode": codes, "EventReason": reasons, "ActionType": actions, "AuditAction": store.Actions(),
		"Verdict": words(state.Verdicts()), "KeptVerdict": words(kept), "Stage": words(state.Stages()),
		"PushStatus": words(store.Statuses()), "ReplayStatus": words(store.ReplayStatuses()),
		"ReplayVerdict": words(replay.Verdicts()), "UpstreamKind": words(verify.Kinds()),
		"WaitingFor": words(waits), "Scope": words(scopes),
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			got := enum(t, must(t, must(t, root(t), "components"), "schemas"), name)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("the description lists\n%q\nthe code knows\n%q", got, want)
			}
			told := text(t, must(t, must(t, must(t, root(t), "components"), "schemas"), name), "description")
			for _, word := range want {
				if strings.Contains(told, "| --- |") && word != "" && !strings.Contains(told, "| "+word+" |") && !strings.Contains(told, "| `"+word+"` |") {
					t.Errorf("the table does not tell what %s is", word)
				}
			}
		})
	}
}

// TestActionNames: the table of action types has the names that the code has.
func TestActionNames(t *testing.T) {
	d := document(t)
	n, _ := d.At("components", "schemas", "ActionType")
	for _, a := range state.ActionTypes {
		row := fmt.Sprintf("| %s | %s · %s |", a, a.Name(false), a.Name(true))
		if !strings.Contains(text(t, n, "description"), row) {
			t.Errorf("there is no row %q", row)
		}
	}
}

// TestFilters: the parameters of the lists are those that are read.
func TestFilters(t *testing.T) {
	d := document(t)
	for list, want := range admin.Filters() {
		t.Run(list, func(t *testing.T) {
			path := "/admin/v1/" + list
			op, ok := d.At("paths", path, "get")
			if !ok {
				t.Fatal("there is no such operation")
			}
			var got []string
			for i := range must(t, op, "parameters").Value.([]any) {
				p := d.Kin.Paths.Value(path).Get.Parameters[i].Value
				if p.In == "query" {
					got = append(got, p.Name)
				}
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(want))
			if !slices.Equal(got, want) {
				t.Errorf("the description has %q, the parser reads %q", got, want)
			}
		})
	}
	var hints []string
	for _, p := range d.Kin.Paths.Value("/admin/v1/waybills/{delivery_id}/{waybill_id}/upstream").Get.Parameters {
		if p.Value.In == "query" {
			hints = append(hints, p.Value.Name)
		}
	}
	if !slices.Equal(hints, admin.HintFilters()) {
		t.Errorf("upstream has %q, the parser reads %q", hints, admin.HintFilters())
	}
	filter, _ := d.At("components", "schemas", "Filter", "properties")
	want := slices.Sorted(slices.Values(admin.ReplayFilters()))
	if got := filter.Names(); !slices.Equal(got, want) {
		t.Errorf("a replay's filter has %q, the parser reads %q", got, want)
	}
}

// TestEventSchema: the event of the description is the published schema of one, apart from what is said for people.
func TestEventSchema(t *testing.T) {
	var published map[string]any
	if err := json.Unmarshal([]byte(api.EventSchema), &published); err != nil {
		t.Fatal(err)
	}
	described := must(t, must(t, must(t, root(t), "components"), "schemas"), "ScanEvent").Value
	asJSON, err := json.Marshal(described)
	if err != nil {
		t.Fatal(err)
	}
	var here map[string]any
	if err := json.Unmarshal(asJSON, &here); err != nil {
		t.Fatal(err)
	}
	same(t, bare(here), bare(published))
}

// bare is a schema without what says nothing about values.
func bare(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for name, value := range object {
		if !slices.Contains([]string{"$schema", "title", "description", "examples", "writeOnly"}, name) {
			out[name] = bare(value)
		}
	}
	return out
}

func root(t *testing.T) apicheck.Node {
	t.Helper()
	n, _ := document(t).At()
	return n
}

// must is a member that has to be there.
func must(t *testing.T, n apicheck.Node, name string) apicheck.Node {
	t.Helper()
	found, ok := document(t).Member(n, name)
	if !ok {
		t.Fatalf("%s has no %s", n.Pointer, name)
	}
	return found
}

// member is a member as it was written.
func member(n apicheck.Node, name string) any {
	object, _ := n.Value.(map[string]any)
	return object[name]
}

func has(n apicheck.Node, name string) bool { return slices.Contains(n.Names(), name) }

func text(t *testing.T, n apicheck.Node, name string) string {
	t.Helper()
	return fmt.Sprint(must(t, n, name).Value)
}

func enum(t *testing.T, schemas apicheck.Node, name string) []string {
	t.Helper()
	var all []string
	for _, v := range must(t, must(t, schemas, name), "enum").Value.([]any) {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// words are the names that values have in answers.
func words[T any](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprint(v)
	}
	return out
}

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// same compares two maps and tells each difference by itself.
func same(t *testing.T, got, want any) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	if g.Kind() == reflect.Map && g.Type() == w.Type() {
		for _, k := range g.MapKeys() {
			if v := w.MapIndex(k); !v.IsValid() {
				t.Errorf("%v: too many: %v", k, g.MapIndex(k))
			} else if !reflect.DeepEqual(g.MapIndex(k).Interface(), v.Interface()) {
				t.Errorf("%v: got %v, want %v", k, g.MapIndex(k), v)
			}
		}
		for _, k := range w.MapKeys() {
			if !g.MapIndex(k).IsValid() {
				t.Errorf("%v: missing: %v", k, w.MapIndex(k))
			}
		}
	}
}
