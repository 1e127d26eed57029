package app_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"carrier/internal/app/apptest"
)

// TestNATSBatches: submit takes what the batch route takes, and answers as it does.
func TestNATSBatches(t *testing.T) {
	r := startNATS(t, nil)
	lines := func(prefix string) (ndjson []byte) {
		for _, e := range []any{scan(prefix, 1, 100001), scan(prefix, 2, 200001), map[string]int{"id": 1}, scan(prefix, 1, 100001), scan(prefix, 4, 100003)} {
			ndjson = append(append(ndjson, asJSON(t, e)...), '\n')
		}
		return ndjson
	}
	array := func(prefix string) []byte {
		return []byte("[" + strings.ReplaceAll(strings.TrimSpace(string(lines(prefix))), "\n", ",") + "]")
	}
	envelopes := func(prefix string) []byte {
		var list []any
		for i, line := range strings.Split(strings.TrimSpace(string(lines(prefix))), "\n") {
			var data map[string]any
			if err := json.Unmarshal([]byte(line), &data); err != nil {
				t.Fatal(err)
			}
			id := data["id"]
			delete(data, "id")
			if i == 2 {
				id = "broken"
			}
			list = append(list, map[string]any{"specversion": "1.0", "id": id, "source": "/sorter", "type": "scan", "data": data})
		}
		return asJSON(t, list)
	}
	for _, c := range []struct {
		name, media string
		body        []byte
	}{
		{"NDJSON", "application/x-ndjson", lines("NDJSON")},
		{"ARRAY", "application/json", array("ARRAY")},
		{"BARE", "", array("BARE")},
		{"CE", "application/cloudevents-batch+json", envelopes("CE")},
	} {
		header := nats.Header{}
		if c.media != "" {
			header["content-type"] = []string{c.media}
		}
		a := r.submit("sorter-7", c.body, header)
		var answer struct {
			Results []apptest.Answer
			Counts  map[string]int
		}
		if err := json.Unmarshal(a.Body, &answer); err != nil || a.HTTP != 0 || len(answer.Results) != 5 {
			t.Errorf("%s: answered %d %s (%v)", c.name, a.HTTP, a.Body, err)
			continue
		}
		var verdicts []string
		for _, result := range answer.Results {
			verdicts = append(verdicts, result.Verdict)
		}
		if want := []string{"accepted", "accepted", "invalid", "duplicate", "rejected"}; !slices.Equal(verdicts, want) {
			t.Errorf("%s: the verdicts are %v, want %v: %s", c.name, verdicts, want, a.Body)
		}
		if answer.Counts["accepted"] != 2 || answer.Counts["invalid"] != 1 {
			t.Errorf("%s: counted %v", c.name, answer.Counts)
		}
	}
	r.s.Settled(t, later)
	tooMany := r.submit("sorter-7", []byte(strings.Repeat("{}\n", 1001)), nats.Header{"Content-Type": {"application/x-ndjson"}})
	if tooMany.HTTP != http.StatusRequestEntityTooLarge || tooMany.Code != "batch_too_large" {
		t.Errorf("1,001 events are answered %d %.200s", tooMany.HTTP, tooMany.Body)
	}
}

// TestNATSMaxPayload: a server may let larger messages through than the service takes, and a small request may have a
// large answer. Nobody waits in vain.
func TestNATSMaxPayload(t *testing.T) {
	r := prepareNATS(t, nil, func(o *server.Options) { o.MaxPayload = 4 << 20 })
	r.start()
	large := []byte(`{"id":"` + strings.Repeat("x", 2<<20) + `"}`)
	if a := r.submit("sorter-7", large, nil); a.HTTP != http.StatusRequestEntityTooLarge || a.Code != "body_too_large" {
		t.Errorf("2 MiB by request: %d %.200s", a.HTTP, a.Body)
	}
	r.publish("sorter-7", large, nil)
	r.drained()
	dead := r.deadLetters()
	if len(dead) != 1 || dead[0].Code != "body_too_large" || dead[0].bytes(t) != string(large) {
		t.Errorf("%d dead letters, want one with all bytes", len(dead))
	}
}

// TestNATSLargeAnswer: the answer to a batch may be larger than the server lets through. The sender hears of it.
func TestNATSLargeAnswer(t *testing.T) {
	r := startNATS(t, nil)
	bad := `{"id":"","delivery_id":"X","waybill_id":" ","action_type":1,"action_time":1533052800000,"action_msg":"","token":"` + strings.Repeat("x", 257) + `"}`
	good := asJSON(t, scan("LARGE", 1, 100001))
	batch := append(append([]byte(strings.Repeat(bad+"\n", 999)), good...), '\n')
	if int64(len(batch)) > r.nc.MaxPayload() {
		t.Fatalf("the run is void: the request has %d bytes", len(batch))
	}
	answers, err := r.nc.RequestMsg(&nats.Msg{Subject: "carrier.submit.sorter-7", Data: batch, Header: nats.Header{"content-type": {"application/x-ndjson"}}}, soon)
	if err != nil {
		t.Fatalf("a batch with a large answer is not answered: %v", err)
	}
	t.Logf("answered with %d bytes: %v %.300s", len(answers.Data), answers.Header, answers.Data)
	// Whatever it says: the good one is kept, or can be sent again.
	if a := r.submit("sorter-7", good, nil); a.Final() != "accepted" {
		t.Errorf("the good event of the batch is %s", a.Body)
	}
}
