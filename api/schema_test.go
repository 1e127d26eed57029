// Package api_test holds the published schema and samples against the webhook itself.
package api_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"carrier/internal/ingest"
	"carrier/internal/state"
	"carrier/internal/store"
)

type schema struct {
	Required   []string            `json:"required"`
	Properties map[string]property `json:"properties"`
	Examples   []map[string]any    `json:"examples"`
}

type property struct {
	Type      string  `json:"type"`
	MaxLength int     `json:"maxLength"`
	MinLength int     `json:"minLength"`
	Minimum   int64   `json:"minimum"`
	Maximum   int64   `json:"maximum"`
	Enum      []int64 `json:"enum"`
}

// accepting is a store that takes everything.
type accepting struct{}

func (accepting) Ready() error { return nil }
func (accepting) Apply(_ context.Context, events []state.Event) ([]store.Result, error) {
	results := make([]store.Result, len(events))
	for i := range results {
		results[i] = store.Result{Seq: uint64(i + 1), Verdict: state.Accepted}
	}
	return results, nil
}

const key = "a-key-of-the-test-0123456789"

// post sends a body to the webhook and returns the status and the fields that it complains about.
func post(t *testing.T, event any) (status int, fields []string) {
	t.Helper()
	hook, err := ingest.New(ingest.Options{
		Store: accepting{}, DeliveryIDs: []string{"SF"}, Sources: []ingest.Source{{Name: "test", APIKey: key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(string(body)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	rec := httptest.NewRecorder()
	c := echo.New().NewContext(req, rec)
	if err := hook.Event(c); err != nil {
		p, ok := err.(interface {
			Status() int
			Write(http.ResponseWriter, *http.Request) error
		})
		if !ok {
			t.Fatal(err)
		}
		if err := p.Write(rec, req); err != nil {
			t.Fatal(err)
		}
	}
	var answer struct {
		Errors []struct {
			Field string `json:"field"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %v", rec.Body, err)
	}
	for _, e := range answer.Errors {
		fields = append(fields, e.Field)
	}
	return rec.Code, fields
}

func load(t *testing.T) schema {
	t.Helper()
	text, err := os.ReadFile("event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExamplesAreAccepted(t *testing.T) {
	for _, e := range load(t).Examples {
		if status, fields := post(t, e); status != http.StatusAccepted {
			t.Errorf("%v: %d %v", e, status, fields)
		}
	}
}

// TestSchemaAndWebhookAgree breaks each rule of the schema in turn, and expects the webhook to name that field.
func TestSchemaAndWebhookAgree(t *testing.T) {
	s := load(t)
	broken := func(field string, value any) map[string]any {
		e := maps.Clone(s.Examples[0])
		if value == nil {
			delete(e, field)
		} else {
			e[field] = value
		}
		return e
	}
	refused := func(field string, value any) {
		t.Helper()
		status, fields := post(t, broken(field, value))
		if status != http.StatusUnprocessableEntity || len(fields) != 1 || fields[0] != field {
			t.Errorf("%s = %.40v: got %d %v", field, value, status, fields)
		}
	}
	taken := func(field string, value any) {
		t.Helper()
		if status, fields := post(t, broken(field, value)); status != http.StatusAccepted {
			t.Errorf("%s = %.40v: got %d %v", field, value, status, fields)
		}
	}
	for _, field := range s.Required {
		refused(field, nil)
	}
	refused("color", "red") // additionalProperties
	for name, p := range s.Properties {
		switch p.Type {
		case "string":
			refused(name, 1)
			if p.MinLength > 0 {
				refused(name, "")
			}
			if p.MaxLength > 0 {
				taken(name, strings.Repeat("a", p.MaxLength))
				refused(name, strings.Repeat("a", p.MaxLength+1))
			}
		case "integer":
			refused(name, "1")
			for _, v := range p.Enum {
				taken(name, v)
			}
			if p.Enum != nil {
				refused(name, 300001)
			}
			if p.Minimum != 0 {
				taken(name, p.Minimum)
				refused(name, p.Minimum-1)
			}
			if p.Maximum != 0 {
				refused(name, p.Maximum+1)
			}
		default:
			t.Errorf("%s has the type %q", name, p.Type)
		}
	}
}
