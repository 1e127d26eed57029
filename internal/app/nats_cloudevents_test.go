package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"carrier/internal/app/apptest"
)

// TestNATSCloudEvents takes CloudEvents in both modes, with header names as clients of other languages write them. The
// id is the envelope's.
func TestNATSCloudEvents(t *testing.T) {
	r := startNATS(t, nil)
	structured := func(e apptest.Event, id string) []byte {
		return asJSON(t, map[string]any{"specversion": "1.0", "id": id, "source": "/sorter/7", "type": "scan", "data": json.RawMessage(withoutID(t, e))})
	}
	binary := func(e apptest.Event, _ string) []byte { return withoutID(t, e) }
	for i, c := range []struct {
		name   string
		body   func(e apptest.Event, id string) []byte
		header func(id string) nats.Header
		id     string // As it is kept; default: what the header func is given.
	}{
		{"structured", structured, func(string) nats.Header { return nats.Header{"Content-Type": {"application/cloudevents+json"}} }, ""},
		{"structured, in lower case, with charset", structured, func(string) nats.Header {
			return nats.Header{"content-type": {"application/cloudevents+json; charset=UTF-8"}}
		}, ""},
		{"structured, in upper case, beside Nats-Msg-Id", structured, func(id string) nats.Header {
			return nats.Header{"CONTENT-TYPE": {"application/cloudevents+json"}, nats.MsgIdHdr: {id + "-of-the-message"}}
		}, ""},
		{"binary", binary, func(id string) nats.Header {
			return nats.Header{"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"/sorter/7"}, "ce-type": {"scan"}}
		}, ""},
		{"binary, as HTTP clients write it", binary, func(id string) nats.Header {
			return nats.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {id}, "Ce-Source": {"/sorter/7"}, "Ce-Type": {"scan"}, "Content-Type": {"application/json"}}
		}, ""},
		{"binary, in any letter case, beside Nats-Msg-Id", binary, func(id string) nats.Header {
			return nats.Header{"CE-SPECVERSION": {"1.0"}, "Ce-iD": {id}, "cE-source": {"/sorter/7"}, "CE-Type": {"scan"}, "Nats-Msg-Id": {id + "-of-the-message"}}
		}, ""},
		{"binary, percent-encoded", binary, func(id string) nats.Header {
			return nats.Header{"ce-specversion": {"1.0"}, "ce-id": {id + "%2D%E5%8D%95"}, "ce-source": {"/sorter/7"}, "ce-type": {"scan"}}
		}, "%s-单"},
	} {
		waybill := fmt.Sprint("CE", i)
		var want []string
		id := func(n int) string {
			id := fmt.Sprintf("ce-%d-%d", i, n)
			kept := id
			if c.id != "" {
				kept = fmt.Sprintf(c.id, id)
			}
			want = append(want, kept)
			return id
		}
		byRequest := id(1)
		if a := r.submit("sorter-7", c.body(scan(waybill, 1, 100001), byRequest), c.header(byRequest)); a.Verdict != "accepted" || a.ID != want[0] {
			t.Errorf("%s: answered %s", c.name, a.Body)
		}
		published := id(2)
		r.publish("sorter-7", c.body(scan(waybill, 2, 200001), published), c.header(published))
		r.drained()
		var got []string
		for _, e := range r.s.EventsOf(t, "waybill_id="+waybill) {
			got = append(got, e.EventID)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: kept %q, want %q", c.name, got, want)
		}
	}
	if dead := r.deadLetters(); len(dead) != 0 {
		t.Errorf("%+v are dead letters", dead)
	}
	r.s.Settled(t, later)
	for i := range 7 {
		waybill := fmt.Sprint("CE", i)
		if got, want := r.up.Nodes(waybill).Nodes, trace(story(waybill, 100001, 200001)...); !slices.Equal(got, want) {
			t.Errorf("upstream has %+v of waybill %s, want %+v", got, waybill, want)
		}
	}
}

// TestNATSBrokenCloudEvents: an envelope that breaks a rule is refused, and named.
func TestNATSBrokenCloudEvents(t *testing.T) {
	r := startNATS(t, nil)
	good := asJSON(t, scan("BROKEN", 1, 100001))
	field := func(a *apptest.Answer) (names []string) {
		for _, e := range a.Errors {
			names = append(names, e.Field)
		}
		return names
	}
	for n, c := range []struct {
		name   string
		header nats.Header
		field  string
	}{
		{"another version", nats.Header{"ce-specversion": {"0.3"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}}, "ce-specversion"},
		{"without a type", nats.Header{"CE-Specversion": {"1.0"}, "CE-Id": {"1"}, "CE-Source": {"/s"}}, "ce-type"},
		{"an id that is no UTF-8", nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"%ff"}, "ce-source": {"/s"}, "ce-type": {"t"}}, "ce-id"},
		{"an id twice", nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1", "2"}, "ce-source": {"/s"}, "ce-type": {"t"}}, "ce-id"},
		{"an id in two letter cases", nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "Ce-Id": {"2"}, "ce-source": {"/s"}, "ce-type": {"t"}}, "ce-id"},
	} {
		a := r.submit("sorter-7", good, c.header)
		if a.HTTP != http.StatusUnprocessableEntity || a.Code != "invalid_event" || !slices.Contains(field(&a), c.field) {
			t.Errorf("%s: %d %s, want 422 that names %s", c.name, a.HTTP, a.Body, c.field)
		}
		r.publish("sorter-7", good, c.header)
		r.drained()
		if dead := r.deadLetters(); len(dead) != n+1 || dead[n].Code != "invalid_event" {
			t.Errorf("%s: the dead letters are %+v", c.name, dead)
		}
	}
	if kept := r.s.EventsOf(t, ""); len(kept) != 0 {
		t.Errorf("kept %+v", kept)
	}
}
