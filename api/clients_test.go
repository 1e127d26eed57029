package api_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/adminclient"
	"carrier/internal/app/apptest"
)

// TestClientsReadWhatIsDescribed: the API's shapes are written down again by the two clients, the commands' and the
// end-to-end tests', as any other program has to that knows the service by its wire alone. Each member that they read is
// in the description, by that name and of a type that they can hold.
func TestClientsReadWhatIsDescribed(t *testing.T) {
	for _, pair := range []struct {
		schema  string
		clients []any
	}{
		{"Account", []any{adminclient.Account{}, apptest.AccountState{}}},
		{"AuditEntry", []any{adminclient.AuditEntry{}}},
		{"DeadLetter", []any{adminclient.DeadLetter{}}},
		{"Difference", []any{adminclient.Difference{}}},
		{"Event", []any{adminclient.Event{}, apptest.StoredEvent{}}},
		{"BatchResult", []any{apptest.Answer{}}},
		{"Expunged", []any{adminclient.Expunged{}}},
		{"Filter", []any{adminclient.Filter{}}},
		{"Heal", []any{adminclient.Heal{}}},
		{"Push", []any{adminclient.Push{}, apptest.ListedPush{}}},
		{"PushDetail", []any{adminclient.PushDetail{}, apptest.PushDetail{}}},
		{"Replay", []any{adminclient.Replay{}, apptest.Replay{}}},
		{"ReplayPlan", []any{adminclient.Plan{}, apptest.DryRun{}}},
		{"ReplayRequest", []any{adminclient.ReplayRequest{}}},
		{"ScanEvent", []any{apptest.Event{}}},
		{"SilentWaybill", []any{adminclient.SilentWaybill{}}},
		{"Stats", []any{adminclient.Stats{}}},
		{"TokenAnswer", []any{adminclient.TokenAnswer{}}},
		{"UpstreamTrace", []any{adminclient.Comparison{}}},
		{"Waybill", []any{adminclient.Waybill{}, apptest.Waybill{}}},
		{"WaybillSummary", []any{adminclient.WaybillSummary{}}},
	} {
		for _, client := range pair.clients {
			typ := reflect.TypeOf(client)
			t.Run(typ.String(), func(t *testing.T) {
				fits(t, typ.Name(), typ, map[string]any{"$ref": "#/components/schemas/" + pair.schema})
			})
		}
	}
}

// fits fails the test if what a schema allows can't be read into a type.
func fits(t *testing.T, path string, typ reflect.Type, schema any) {
	t.Helper()
	parts := partsOf(t, schema)
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := ""
	switch typ.Kind() {
	case reflect.Bool:
		want = "boolean"
	case reflect.String:
		want = "string"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64:
		want = "integer"
	case reflect.Float64:
		want = "number"
	case reflect.Slice:
		want = "array"
		for _, items := range membersOf(parts, "items") {
			fits(t, path+"[]", typ.Elem(), items)
		}
	case reflect.Map:
		want = "object"
		for _, values := range membersOf(parts, "additionalProperties") {
			if typ.Elem().Kind() != reflect.Interface && values != false {
				fits(t, path+".*", typ.Elem(), values)
			}
		}
	case reflect.Struct:
		if want = "string"; typ != reflect.TypeFor[time.Time]() {
			want = "object"
			fieldsFit(t, path, typ, parts)
		}
	default:
		t.Fatalf("%s is a %s: teach this test what that is in JSON", path, typ)
	}
	if has := typesOf(parts); !slices.Contains(has, want) && !(want == "number" && slices.Contains(has, "integer")) {
		t.Errorf("%s is read as %s; it is described as %v", path, want, has)
	}
}

func fieldsFit(t *testing.T, path string, typ reflect.Type, parts []map[string]any) {
	t.Helper()
	for _, f := range reflect.VisibleFields(typ) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue // Embedded, or no part of the answer.
		}
		described := false
		for _, properties := range membersOf(parts, "properties") {
			if p, ok := properties.(map[string]any)[name]; ok {
				described = true
				fits(t, path+"."+name, f.Type, p)
			}
		}
		if !described {
			t.Errorf("%s.%s is read, and not described", path, name)
		}
	}
}

// partsOf is a schema and all that it is made of, or may be instead.
func partsOf(t *testing.T, schema any) []map[string]any {
	t.Helper()
	s, ok := schema.(map[string]any)
	if !ok {
		t.Fatalf("%v is no schema", schema)
	}
	parts := []map[string]any{s}
	if ref, ok := s["$ref"].(string); ok {
		n, found := document(t).At(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		if !found {
			t.Fatalf("%s leads nowhere", ref)
		}
		parts = append(parts, partsOf(t, n.Value)...)
	}
	for _, word := range []string{"allOf", "anyOf", "oneOf"} {
		more, _ := s[word].([]any)
		for _, part := range more {
			parts = append(parts, partsOf(t, part)...)
		}
	}
	return parts
}

// membersOf is what the parts of a schema have under a name.
func membersOf(parts []map[string]any, name string) (all []any) {
	for _, p := range parts {
		if v, ok := p[name]; ok {
			all = append(all, v)
		}
	}
	return all
}

// typesOf is every type that a schema names.
func typesOf(parts []map[string]any) (all []string) {
	for _, v := range membersOf(parts, "type") {
		switch v := v.(type) {
		case string:
			all = append(all, v)
		case []any:
			for _, one := range v {
				all = append(all, one.(string))
			}
		}
	}
	return all
}
