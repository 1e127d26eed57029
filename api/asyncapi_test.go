package api_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"carrier/api"
	"carrier/api/apicheck"
	"carrier/internal/problem"
	"carrier/internal/state"
)

func async(t *testing.T) *apicheck.Async {
	t.Helper()
	a, err := apicheck.LoadAsync()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// at is a place that has to be there, with references followed.
func at(t *testing.T, path ...string) apicheck.Node {
	t.Helper()
	n, ok := async(t).At(path...)
	if !ok {
		t.Fatalf("there is no %s", strings.Join(path, "/"))
	}
	return n
}

// TestAsyncStructure: what AsyncAPI 3.0 wants of the parts that are used here.
func TestAsyncStructure(t *testing.T) {
	only := func(n apicheck.Node, needed string, allowed string) {
		t.Helper()
		for _, name := range strings.Fields(needed) {
			if !has(n, name) {
				t.Errorf("%s has no %s", n.Pointer, name)
			}
		}
		for _, name := range n.Names() {
			if !strings.HasPrefix(name, "x-") && !slices.Contains(strings.Fields(needed+" "+allowed), name) {
				t.Errorf("%s has a member %s", n.Pointer, name)
			}
		}
	}
	only(at(t), "asyncapi info", "id servers defaultContentType channels operations components")
	if v := at(t, "asyncapi").Value; v != "3.0.0" {
		t.Errorf("the version is %v", v)
	}
	only(at(t, "info"), "title version", "description termsOfService contact license tags externalDocs")
	for _, name := range at(t, "servers").Names() {
		only(at(t, "servers", name), "host protocol", "description title pathname protocolVersion variables security tags bindings")
	}
	for _, name := range at(t, "channels").Names() {
		only(at(t, "channels", name), "address messages", "title summary description servers parameters tags bindings")
	}
	for _, name := range at(t, "operations").Names() {
		only(at(t, "operations", name), "action channel", "title summary description security tags bindings traits messages reply")
		if action := at(t, "operations", name, "action").Value; action != "send" && action != "receive" {
			t.Errorf("the operation %s is to %v", name, action)
		}
	}
	for _, name := range at(t, "components", "messages").Names() {
		for _, part := range []string{"payload", "headers"} { // A schema may be true or false, but not here.
			if n, has := async(t).At("components", "messages", name, part); has {
				if _, object := n.Value.(map[string]any); !object {
					t.Errorf("the %s of %s is no object", part, name)
				}
			}
		}
		only(at(t, "components", "messages", name), "title payload examples", "summary description headers contentType correlationId name tags bindings traits")
		for i, raw := range at(t, "components", "messages", name, "examples").Value.([]any) {
			only(apicheck.Node{Value: raw, Pointer: name + "/examples/" + strconv.Itoa(i)}, "name payload", "headers summary")
		}
	}
	for _, name := range at(t, "components", "parameters").Names() {
		only(at(t, "components", "parameters", name), "description", "enum default examples location")
	}
}

// TestAsyncChannels: the parameters of an address are those that the channel has; every channel belongs to one operation,
// which says who sends, and a reply has no address of its own.
func TestAsyncChannels(t *testing.T) {
	used := map[string]int{}
	for _, name := range at(t, "operations").Names() {
		channel := at(t, "operations", name, "channel")
		used[channel.Pointer]++
		if strings.HasSuffix(channel.Pointer, "Reply") {
			t.Errorf("the operation %s is on %s", name, channel.Pointer)
		}
		if _, replies := async(t).At("operations", name, "reply"); replies {
			reply := at(t, "operations", name, "reply", "channel")
			if used[reply.Pointer]++; reply.Pointer != channel.Pointer+"Reply" {
				t.Errorf("the reply on %s comes on %s", channel.Pointer, reply.Pointer)
			}
		}
	}
	for _, name := range at(t, "channels").Names() {
		if used["/channels/"+name] != 1 {
			t.Errorf("the channel %s is used %d times", name, used["/channels/"+name])
		}
		var params []string
		address, _ := at(t, "channels", name, "address").Value.(string)
		for part := range strings.SplitSeq(address, ".") {
			if inner, is := strings.CutPrefix(part, "{"); is {
				params = append(params, strings.TrimSuffix(inner, "}"))
			}
		}
		declared, _ := async(t).At("channels", name, "parameters")
		slices.Sort(params)
		if got := declared.Names(); !slices.Equal(got, params) {
			t.Errorf("%s has the parameters %q", address, got)
		}
		if (address == "") != strings.HasSuffix(name, "Reply") {
			t.Errorf("the address of %s is %q", name, address)
		}
	}
}

// TestAsyncReferences: every reference leads somewhere, here or in the other description, and every component is used.
func TestAsyncReferences(t *testing.T) {
	used := map[string]bool{}
	var walk func(n any)
	walk = func(n any) {
		switch n := n.(type) {
		case []any:
			for _, v := range n {
				walk(v)
			}
		case map[string]any:
			for _, v := range n {
				walk(v)
			}
			ref, is := n["$ref"].(string)
			if !is {
				return
			}
			file, pointer, _ := strings.Cut(ref, "#/")
			path := strings.Split(pointer, "/")
			var found bool
			switch file {
			case "":
				_, found = async(t).At(path...)
				used[pointer] = true
			case "openapi.yaml":
				_, found = document(t).At(path...)
			}
			if !found {
				t.Errorf("%s leads nowhere", ref)
			}
		}
	}
	walk(at(t).Value)
	for _, kind := range at(t, "components").Names() {
		for _, name := range at(t, "components", kind).Names() {
			if !used["components/"+kind+"/"+name] {
				t.Errorf("nothing refers to components/%s/%s", kind, name)
			}
		}
	}
}

// TestAsyncExamples: every example of a message, of headers and of a schema is one.
func TestAsyncExamples(t *testing.T) {
	a := async(t)
	for _, name := range at(t, "components", "messages").Names() {
		pointer := "/components/messages/" + name
		for _, raw := range at(t, "components", "messages", name, "examples").Value.([]any) {
			example := raw.(map[string]any)
			what := fmt.Sprint(name, "/", example["name"])
			if err := a.Validate(pointer+"/payload", example["payload"], true); err != nil {
				t.Errorf("%s: the payload: %v", what, err)
			}
			headers, has := example["headers"].(map[string]any)
			if _, told := a.At("components", "messages", name, "headers"); !told {
				if has {
					t.Errorf("%s shows headers that are not told of", what)
				}
				continue
			}
			if err := a.Validate(pointer+"/headers", example["headers"], true); err != nil {
				t.Errorf("%s: the headers: %v", what, err)
			}
			known := headerNames(t, at(t, "components", "messages", name, "headers"))
			for header := range headers {
				if !slices.Contains(known, header) {
					t.Errorf("%s shows the header %s, which is not told of", what, header)
				}
			}
		}
	}
	for _, name := range at(t, "components", "schemas").Names() {
		n := at(t, "components", "schemas", name)
		if _, err := a.Schema(n.Pointer, true); err != nil {
			t.Error(err)
		}
		list, _ := member(n, "examples").([]any)
		for _, example := range list {
			if err := a.Validate(n.Pointer, example, false); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// headerNames are the properties of a schema of headers, with those of what it is made of.
func headerNames(t *testing.T, n apicheck.Node) []string {
	t.Helper()
	properties, _ := async(t).Member(n, "properties")
	names := properties.Names()
	parts, _ := member(n, "allOf").([]any)
	for _, part := range parts {
		if ref, is := part.(map[string]any)["$ref"].(string); is {
			names = append(names, headerNames(t, at(t, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...))...)
			continue
		}
		properties, _ := async(t).Member(apicheck.Node{Value: part}, "properties")
		names = append(names, properties.Names()...)
	}
	return names
}

// TestAsyncIsTold: each operation in both languages.
func TestAsyncIsTold(t *testing.T) {
	for _, name := range at(t, "operations").Names() {
		en, zh, _ := strings.Cut(at(t, "operations", name, "summary").Value.(string), " · ")
		if en == "" || hasHan(en) || !hasHan(zh) {
			t.Errorf("%s: the summary is %q and %q, want English and Chinese", name, en, zh)
		}
	}
	for _, subject := range []string{"events.SOURCE", "submit.SOURCE", "token.DELIVERY_ID", "orders.DELIVERY_ID.EVENT", "outcomes.DELIVERY_ID.STATUS"} {
		if !strings.Contains(api.AsyncAPI, "| `carrier."+subject+"` |") {
			t.Errorf("the table of subjects has no carrier.%s", subject)
		}
	}
}

// TestAsyncWords: the examples of problems say what the code says of them.
func TestAsyncWords(t *testing.T) {
	titles := map[string]string{}
	for _, e := range problem.Codes() {
		titles[string(e.Code)] = fmt.Sprint(e.Status, e.Title.En)
	}
	for _, raw := range at(t, "components", "messages", "problem", "examples").Value.([]any) {
		example := raw.(map[string]any)
		p, h := example["payload"].(map[string]any), example["headers"].(map[string]any)
		code := p["code"].(string)
		if got := fmt.Sprint(p["status"], p["title"]); got != titles[code] || h["Nats-Service-Error"] != code || h["Nats-Service-Error-Code"] != fmt.Sprint(p["status"]) {
			t.Errorf("%s is %v with %v", code, p, h)
		}
	}
	reasons := map[string]bool{state.IllegalStep.String(): true, state.ContradictsNext.String(): true}
	told := at(t, "components", "schemas", "Outcome", "properties", "reason", "description").Value.(string)
	for reason := range maps.Keys(reasons) {
		if !strings.Contains(told, reason) {
			t.Errorf("reason does not tell of %s", reason)
		}
	}
}
