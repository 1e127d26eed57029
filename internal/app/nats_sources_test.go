package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"carrier/internal/app/apptest"
)

// TestNATSAnswersInChinese: a requester chooses the language, by a header in any letter case.
func TestNATSAnswersInChinese(t *testing.T) {
	r := startNATS(t, nil)
	for _, name := range []string{"Accept-Language", "accept-language", "ACCEPT-LANGUAGE"} {
		a := r.submit("sorter-7", []byte("{"), nats.Header{name: {"zh-CN,zh;q=0.9"}})
		if a.Title != "不是合法的 JSON" || a.Code != "malformed_json" {
			t.Errorf("with %s the title is %q, want it in Chinese", name, a.Title)
		}
		a = r.ask("carrier.token.SF", []byte("{"), nats.Header{name: {"zh"}})
		if a.Title != "不是合法的 JSON" {
			t.Errorf("of a Token request with %s the title is %q, want it in Chinese", name, a.Title)
		}
	}
	if a := r.submit("sorter-7", []byte("{"), nil); a.Title != "Not JSON" {
		t.Errorf("without a header the title is %q", a.Title)
	}
}

// TestNATSIDs: ids are unique within a source's name, whichever way they come, and Nats-Msg-Id is one where the event
// has none.
func TestNATSIDs(t *testing.T) {
	r := startNATS(t, nil)
	t.Run("Nats-Msg-Id", func(t *testing.T) {
		for i, name := range []string{nats.MsgIdHdr, "nats-msg-id", "NATS-MSG-ID"} {
			waybill := fmt.Sprint("ID", i)
			header := func(id string) nats.Header { return nats.Header{name: {id}} }
			a := r.submit("sorter-7", withoutID(t, scan(waybill, 1, 100001)), header(waybill+"-from-header"))
			if a.Verdict != "accepted" || a.ID != waybill+"-from-header" {
				t.Errorf("%s: answered %s", name, a.Body)
			}
			if a := r.submit("sorter-7", withoutID(t, scan(waybill, 1, 100001)), header(waybill+"-from-header")); a.Verdict != "duplicate" {
				t.Errorf("%s: the same again is %s", name, a.Body)
			}
			own := scan(waybill, 2, 200001)
			if a := r.submit("sorter-7", asJSON(t, own), header("another")); a.Verdict != "accepted" || a.ID != own.ID {
				t.Errorf("%s beside an id: answered %s, want the event's own id", name, a.Body)
			}
			r.publish("sorter-7", withoutID(t, scan(waybill, 3, 300002)), header(waybill+"-through-jetstream"))
			r.drained()
			var ids []string
			for _, e := range r.s.EventsOf(t, "waybill_id="+waybill) {
				ids = append(ids, e.EventID)
			}
			slices.Sort(ids)
			if want := []string{waybill + "-2", waybill + "-from-header", waybill + "-through-jetstream"}; !slices.Equal(ids, want) {
				t.Errorf("%s: kept %q, want %q", name, ids, want)
			}
		}
		if a := r.submit("sorter-7", withoutID(t, scan("ID9", 1, 100001)), nil); a.HTTP != http.StatusUnprocessableEntity || a.Code != "invalid_event" {
			t.Errorf("without any id: %s", a.Body)
		}
	})

	t.Run("both ways", func(t *testing.T) {
		e := scan("BOTH", 1, 100001)
		seq := r.s.Accept(t, e)[0]
		if a := r.submit(apptest.Scanner, asJSON(t, e), nil); a.Verdict != "duplicate" || a.Original != "accepted" || a.Seq != seq {
			t.Errorf("what came over HTTP is by request %s, want a duplicate of %d", a.Body, seq)
		}
		r.publishEvents(apptest.Scanner, e)
		r.drained()
		next := scan("BOTH", 2, 200001)
		r.publishEvents(apptest.Scanner, next)
		r.drained()
		if a := r.s.Send(t, next); a.Verdict != "duplicate" || a.Original != "accepted" {
			t.Errorf("what came through JetStream is over HTTP %s, want a duplicate", a.Body)
		}
		next.ActionMsg += "!"
		if a := r.s.Send(t, next); a.Verdict != "conflict" {
			t.Errorf("with another text it is %s, want a conflict", a.Body)
		}
		if a := r.submit("sorter-7", asJSON(t, e), nil); a.Verdict != "ignored" {
			t.Errorf("the same scan of another source is %s, want it ignored", a.Body)
		}
		if kept := r.s.EventsOf(t, "waybill_id=BOTH"); len(kept) != 3 {
			t.Errorf("kept %+v, want two events and the ignored one", kept)
		}
		if dead := r.deadLetters(); len(dead) != 0 {
			t.Errorf("%+v are dead letters; a duplicate is none", dead)
		}
	})
}

// TestNATSSourcesBound: a name that stands in sources is bound to its delivery_ids over NATS too; any other may send for
// all accounts.
func TestNATSSourcesBound(t *testing.T) {
	r := startNATS(t, func(s *apptest.Settings) {
		s.Accounts = append(s.Accounts, apptest.Account{DeliveryID: "YTO", BaseURL: s.Accounts[0].BaseURL})
		s.Sources = []string{`{name: bound, api_key: "0123456789abcdef0123456789abcdef", delivery_ids: [SF], rate: 1}`}
	})
	ours, theirs := scan("OURS", 1, 100001), scan("THEIRS", 1, 100001)
	theirs.DeliveryID = "YTO"
	if a := r.submit("bound", asJSON(t, ours), nil); a.Verdict != "accepted" {
		t.Errorf("for its own account: %s", a.Body)
	}
	if a := r.submit("bound", asJSON(t, theirs), nil); a.HTTP != http.StatusForbidden || a.Code != "forbidden_delivery_id" {
		t.Errorf("for another account: %d %s, want 403", a.HTTP, a.Body)
	}
	batch := append(append(asJSON(t, scan("OURS", 2, 200001)), '\n'), asJSON(t, theirs)...)
	a := r.submit("bound", batch, nats.Header{"content-type": {"application/x-ndjson"}})
	var answer struct {
		Results []apptest.Answer
		Counts  map[string]int
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || a.HTTP != 0 || len(answer.Results) != 2 {
		t.Fatalf("the batch is answered %d %s (%v)", a.HTTP, a.Body, err)
	}
	if x, y := answer.Results[0], answer.Results[1]; x.Verdict != "accepted" || y.Verdict != "invalid" || y.Code != "forbidden_delivery_id" ||
		answer.Counts["accepted"] != 1 || answer.Counts["invalid"] != 1 {
		t.Errorf("the batch is answered %s", a.Body)
	}
	r.publish("bound", asJSON(t, theirs), nil)
	for n := range 20 { // The rate of its requests over HTTP is no rate here.
		r.publishEvents("bound", scan("OURS", 3+n, 200001))
	}
	r.drained()
	if dead := r.deadLetters(); len(dead) != 1 || dead[0].Code != "forbidden_delivery_id" || dead[0].Source != "bound" {
		t.Errorf("the dead letters are %+v, want the one of another account", dead)
	}
	if kept := r.s.EventsOf(t, "source=bound"); len(kept) != 22 {
		t.Errorf("%d events are kept, want 22", len(kept))
	}
	if kept := r.s.EventsOf(t, "delivery_id=YTO"); len(kept) != 0 {
		t.Errorf("kept %+v", kept)
	}
	if a := r.submit("not-configured", asJSON(t, theirs), nil); a.Verdict != "accepted" {
		t.Errorf("a name that is not configured may send for all accounts: %s", a.Body)
	}
	for _, name := range []string{"a$b", "日本", strings.Repeat("x", 129)} {
		if a := r.submit(name, asJSON(t, scan("NAME", 1, 100001)), nil); a.HTTP < 400 || a.HTTP > 499 {
			t.Errorf("as %.10q: %d %s, want it refused", name, a.HTTP, a.Body)
		}
	}
	if kept := r.s.EventsOf(t, "waybill_id=NAME"); len(kept) != 0 {
		t.Errorf("kept %+v", kept)
	}
}
