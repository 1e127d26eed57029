package bus

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/api/apicheck"
	"carrier/internal/bus/natstest"
	"carrier/internal/state"
	"carrier/internal/store"
)

// described is api/asyncapi.yaml.
func described(t *testing.T) *apicheck.Async {
	t.Helper()
	d, err := apicheck.LoadAsync()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func placeIn(t *testing.T, path ...string) apicheck.Node {
	t.Helper()
	n, ok := described(t).At(path...)
	if !ok {
		t.Fatalf("the description has no %s", strings.Join(path, "/"))
	}
	return n
}

// TestSubjectsAreDescribed: the addresses are the subjects of the code.
func TestSubjectsAreDescribed(t *testing.T) {
	for channel, want := range map[string]string{
		"submit": submitPrefix + "{source}", "token": tokenPrefix + "{delivery_id}",
		"orders": ordersPrefix + "{delivery_id}.{event}", "outcomes": outcomePrefix + "{delivery_id}.{status}",
	} {
		if got := placeIn(t, "channels", channel, "address").Value; got != want {
			t.Errorf("%s is at %v, want %s", channel, got, want)
		}
	}
	words := []string{differs.status, agrees.status}
	for _, e := range endings {
		words = append(words, e.status)
	}
	var told []string
	for _, v := range placeIn(t, "channels", "outcomes", "parameters", "status", "enum").Value.([]any) {
		told = append(told, v.(string))
	}
	slices.Sort(words)
	slices.Sort(told)
	if !slices.Equal(words, told) {
		t.Errorf("an outcome is %q, told are %q", words, told)
	}
}

// TestOutcomesAreDescribed: each kind validates with nothing beside what is told of, and nothing is told of that no
// outcome has.
func TestOutcomesAreDescribed(t *testing.T) {
	members, headers := map[string]bool{}, map[string]bool{jetstream.ExpectedLastSeqHeader: true}
	for status := range endings {
		n := fullNotice()
		n.Status, n.Cause, n.From, n.Allowed = status, 7, state.Delivered, []state.ActionType{state.Transit}
		message := "pushOutcome"
		if status == store.NoPush {
			message, n.Replay = "rejectedOutcome", 0
		}
		m, err := outcomeMsg(&n, instanceName)
		if err != nil {
			t.Fatal(err)
		}
		if err := described(t).Message(message, flat(m.Header), m.Data, true); err != nil {
			t.Error(err)
		}
		var body map[string]any
		if err := json.Unmarshal(m.Data, &body); err != nil {
			t.Fatal(err)
		}
		note(members, body)
		note(headers, m.Header)
	}
	if got := placeIn(t, "components", "schemas", "Outcome", "properties").Names(); !slices.Equal(got, keys(members)) {
		t.Errorf("told of are\n%q, an outcome has\n%q", got, keys(members))
	}
	if got := placeIn(t, "components", "schemas", "OutcomeHeaders", "properties").Names(); !slices.Equal(got, keys(headers)) {
		t.Errorf("told of are\n%q, an outcome has\n%q", got, keys(headers))
	}
}

// TestDifferencesAreDescribed: likewise what is told of waybills.
func TestDifferencesAreDescribed(t *testing.T) {
	n := fullDifference()
	for _, message := range []string{"differsOutcome", "agreesOutcome"} {
		m, err := outcomeMsg(&n, instanceName)
		if err != nil {
			t.Fatal(err)
		}
		if err := described(t).Message(message, flat(m.Header), m.Data, true); err != nil {
			t.Error(err)
		}
		n.Difference = &store.Difference{Waybill: n.Difference.Waybill, Merchant: n.Difference.Merchant}
	}
}

func note[V any](seen map[string]bool, m map[string]V) {
	for name := range m {
		seen[name] = true
	}
}

func keys(m map[string]bool) []string {
	var all []string
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// TestRepliesAreDescribed: what the service answers, for real.
func TestRepliesAreDescribed(t *testing.T) {
	server := natstest.Start(t, nil)
	serve(t, server, options(t, &fakeEvents{}, &fakeStore{t: t}))
	nc := server.Connect()
	tests := []struct{ subject, language, body, message string }{
		{"carrier.submit.s", "", `{"id":"a"}`, "eventAnswer"},
		{"carrier.submit.s", "", `{"id":"bad"}`, "problem"},
		{"carrier.submit.s", "zh", `{"id":"later"}`, "problem"},
		{"carrier.submit.s", "", `["huge"]`, "problem"},
		{"carrier.token.SF", "", `{"waybill_id":"W1","token":"T"}`, "tokenAnswer"},
		{"carrier.token.SF", "", `{"waybill_id":"W 1"}`, "problem"},
		{"carrier.token.YTO", "zh", `{}`, "problem"},
	}
	for _, tt := range tests {
		reply := asked(t, nc, tt.subject, nats.Header{"accept-language": {tt.language}}, tt.body)
		if err := described(t).Message(tt.message, flat(reply.Header), reply.Data, true); err != nil {
			t.Errorf("%s %s: %v", tt.subject, tt.body, err)
		}
		told := placeIn(t, "components", "messages", tt.message, "headers", "properties").Names()
		for name := range reply.Header {
			if !slices.Contains(told, name) {
				t.Errorf("%s %s is answered with the header %s", tt.subject, tt.body, name)
			}
		}
	}
}

// TestQuestionHeadersAreDescribed: the bodies are package orders' to compare.
func TestQuestionHeadersAreDescribed(t *testing.T) {
	q := question()
	m, err := questionMsg("carrier.orders.SF.add_waybill", &q)
	if err != nil {
		t.Fatal(err)
	}
	headers := map[string]bool{}
	note(headers, m.Header)
	if got := placeIn(t, "components", "schemas", "QuestionHeaders", "properties").Names(); !slices.Equal(got, keys(headers)) {
		t.Errorf("told of are %q, a question has %q", got, keys(headers))
	}
}

// TestSchemasAreTheDescribedOnes: what $SRV.INFO tells is what the description says, apart from words for people.
func TestSchemasAreTheDescribedOnes(t *testing.T) {
	openapi, err := apicheck.Load()
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := openapi.At("components", "schemas", "EventAnswer")
	for _, tt := range []struct {
		name, schema string
		want         apicheck.Node
	}{
		{"a scan's answer", eventAnswerSchema, answer},
		{"a Token", tokenRequestSchema, placeIn(t, "components", "schemas", "TokenRequest")},
		{"a Token's answer", tokenAnswerSchema, placeIn(t, "components", "schemas", "TokenAnswer")},
	} {
		var got any
		if err := json.Unmarshal([]byte(tt.schema), &got); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		want := asJSON(t, bare(openapi, tt.want.Value))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is told as\n%v, the description says\n%v", tt.name, got, want)
		}
	}
}

// bare is a schema with its references filled in and without words for people.
func bare(openapi *apicheck.Document, v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = bare(openapi, v[i])
		}
		return out
	case map[string]any:
		if ref, is := v["$ref"].(string); is {
			_, pointer, _ := strings.Cut(ref, "#/")
			n, _ := openapi.At(strings.Split(pointer, "/")...)
			return bare(openapi, n.Value)
		}
		out := map[string]any{}
		for name, value := range v {
			if !slices.Contains([]string{"title", "description", "examples", "writeOnly"}, name) {
				out[name] = bare(openapi, value)
			}
		}
		return out
	}
	return v
}

// asJSON is a value as encoding/json reads it.
func asJSON(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
