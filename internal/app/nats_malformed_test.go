package app_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"carrier/internal/app/apptest"
)

// TestNATSMalformedCorpus sends what strangers and broken scanners send, by request and through JetStream. By request
// each is refused as over HTTP; through JetStream each becomes a dead letter with its bytes. None is kept as an event.
func TestNATSMalformedCorpus(t *testing.T) {
	r := startNATS(t, nil)
	var corpus []badRequest
	for _, c := range slices.Concat(brokenBodies(), brokenFields(), brokenHeaders()) {
		if !c.noKey && c.media != "none" && int64(len(c.body)) < r.nc.MaxPayload()-4096 { // Without a media type it is JSON here.
			corpus = append(corpus, c)
		}
	}
	if len(corpus) < 1000 {
		t.Errorf("the corpus has %d cases, want 1,000 or more", len(corpus))
	}
	wrong := 0
	for _, c := range corpus {
		r.publish("stranger", []byte(c.body), c.natsHeader())
		if c.isBatch() {
			continue
		}
		a, err := request(r.nc, "carrier.submit.stranger", []byte(c.body), c.natsHeader())
		if err != nil || !slices.Contains(c.status, a.HTTP) || c.code != "" && a.Code != c.code {
			if wrong++; wrong <= 20 {
				t.Errorf("%s: answered %d %q, want %v %q (%v)", c.name, a.HTTP, a.Code, c.status, c.code, err)
			}
		}
	}
	r.drained()
	dead := r.deadLetters()
	if len(dead) != len(corpus) {
		t.Fatalf("%d dead letters, want %d", len(dead), len(corpus))
	}
	kept := map[string]int{}
	for _, d := range dead {
		kept[d.bytes(t)]++
	}
	for _, c := range corpus {
		// A Token is hidden, and with it what stands around it in what is no JSON.
		if kept[c.body]--; kept[c.body] < 0 && !strings.Contains(strings.ToLower(c.body), "token") {
			t.Errorf("%s: there is no dead letter with the bytes %.100q", c.name, c.body)
		}
	}
	keptNothing(t, r.s)
}

func (c *badRequest) natsHeader() nats.Header {
	h := nats.Header{}
	for name, values := range c.header {
		h[strings.ToLower(name)] = values
	}
	if c.media != "" {
		h["content-type"] = []string{c.media}
	}
	return h
}

// isBatch tells what submit takes for many events, and JetStream for none.
func (c *badRequest) isBatch() bool {
	return c.media == "application/x-ndjson" || c.media == "application/cloudevents-batch+json" ||
		c.media == "" && strings.HasPrefix(strings.TrimSpace(c.body), "[")
}

// TestNATSStoreTrouble: while the store takes nothing, a request is told when to come again, and nothing is fetched from
// the stream; afterwards all of it is taken.
func TestNATSStoreTrouble(t *testing.T) {
	r := prepareNATS(t, func(s *apptest.Settings) { s.MinFree = "1000000GiB" }, nil)
	r.s = start(t, r.settings)
	r.eventually(func() bool {
		_, err := r.js.Stream(t.Context(), eventsStream)
		return err == nil
	}, "the stream is made")
	events := story("FULL", 100001, 200001, 300002)
	var a apptest.Answer
	r.eventually(func() (ok bool) {
		var err error
		a, err = request(r.nc, "carrier.submit.sorter-7", asJSON(t, events[0]), nil)
		return err == nil
	}, "a request is answered while the disk is full")
	if a.HTTP != http.StatusServiceUnavailable || a.Code != "store_unavailable" || a.Head.Get("Retry-After") != "30" {
		t.Errorf("with a full disk: %d %v %s; want 503 with Retry-After", a.HTTP, a.Head, a.Body)
	}
	if a := r.ask("carrier.token.SF", []byte(`{"waybill_id":"FULL","token":"T"}`), nil); a.HTTP != 0 && a.HTTP != http.StatusServiceUnavailable {
		t.Errorf("a Token with a full disk: %d %s", a.HTTP, a.Body)
	}
	if status, body := get(t, r.s.Admin+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "disk") {
		t.Errorf("/readyz says %d %s", status, body)
	}
	r.publishEvents("sorter-7", events...)
	r.s.stop()
	if n := r.waiting(); n != 3 {
		t.Errorf("%d messages wait in the stream, want all 3", n)
	}
	r.settings.MinFree = ""
	r.start()
	r.drained()
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, events)
	if dead := r.deadLetters(); len(dead) != 0 {
		t.Errorf("%+v are dead letters; a full disk makes none", dead)
	}
}
