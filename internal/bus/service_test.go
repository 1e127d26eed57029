package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/bus/natstest"
	"carrier/internal/state"
	"carrier/internal/store"
)

func asked(t *testing.T, nc *nats.Conn, subject string, h nats.Header, body string) *nats.Msg {
	t.Helper()
	reply, err := nc.RequestMsgWithContext(within(t), &nats.Msg{Subject: subject, Header: h, Data: []byte(body)})
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	return reply
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestSubmitAnswers: what the sender of each kind of request is told, with headers in any letter case.
func TestSubmitAnswers(t *testing.T) {
	server := natstest.Start(t, nil)
	serve(t, server, options(t, &fakeEvents{}, &fakeStore{t: t}))
	nc := server.Connect()
	tests := []struct {
		name   string
		header nats.Header
		body   string
		code   string // Of the micro error; empty: none.
		word   string // Its description.
		retry  string
		want   string // In the payload.
	}{
		{name: "accepted", body: `{"id":"a"}`, want: `{"id":"a","waybill_id":"W1","verdict":"accepted","stage":"created","seq":1}`},
		{name: "invalid", body: `{"id":"bad"}`, code: "422", word: "invalid_event", want: `"code":"invalid_event"`},
		{name: "no JSON", body: `{`, code: "400", word: "malformed_json", want: `"status":400`},
		{name: "rejected", body: `{"id":"no"}`, code: "409", word: "rejected", want: `"title":"Event rejected"`},
		{name: "in Chinese", header: nats.Header{"Accept-LANGUAGE": {"zh-CN"}}, body: `{"id":"no"}`, code: "409", word: "rejected", want: `事件被拒绝`},
		{name: "store unavailable", body: `{"id":"later"}`, code: "503", word: "store_unavailable", retry: "3", want: `"code":"store_unavailable"`},
		{name: "an array", body: ` [{"id":"a"}]`, want: `{"results":[],"counts":{}}`},
		{name: "NDJSON", header: nats.Header{"CONTENT-type": {"Application/X-NDJSON; charset=utf-8"}}, body: "{}\n{}", want: `{"results":[],"counts":{}}`},
		{name: "a batch of CloudEvents", header: nats.Header{"Content-Type": {"application/cloudevents-batch+json"}}, body: `[]`, want: `{"results":[],"counts":{}}`},
		{name: "a batch, unavailable", body: `["later"]`, code: "503", word: "store_unavailable", retry: "1", want: `"detail"`},
		{name: "an answer too large for NATS", body: `["huge"]`, code: "413", word: "batch_too_large", want: "smaller parts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := asked(t, nc, "carrier.submit.scanner", tt.header, tt.body)
			if got.Header.Get(micro.ErrorCodeHeader) != tt.code || got.Header.Get(micro.ErrorHeader) != tt.word {
				t.Errorf("the error is %q %q, want %q %q", got.Header.Get(micro.ErrorCodeHeader), got.Header.Get(micro.ErrorHeader), tt.code, tt.word)
			}
			wantType := "application/json"
			if tt.code != "" {
				wantType = "application/problem+json"
			}
			if got.Header.Get("content-type") != wantType || got.Header.Get("retry-after") != tt.retry {
				t.Errorf("the headers are %v", got.Header)
			}
			if !json.Valid(got.Data) || !strings.Contains(string(got.Data), tt.want) {
				t.Errorf("the payload is %s, want %s", got.Data, tt.want)
			}
		})
	}
}

// TestMessagesAreHandedOnWhole: the name of the source, all headers and the body.
func TestMessagesAreHandedOnWhole(t *testing.T) {
	server := natstest.Start(t, nil)
	events := &fakeEvents{}
	serve(t, server, options(t, events, &fakeStore{t: t}))
	asked(t, server.Connect(), "carrier.submit.courier-app", nats.Header{"traceparent": {"x"}, "Nats-Msg-Id": {"m1"}}, `{"id":"a"}`)
	got := events.calls[0][0]
	if got.Source != "courier-app" || string(got.Body) != `{"id":"a"}` || got.Header["traceparent"][0] != "x" || got.Header["Nats-Msg-Id"][0] != "m1" {
		t.Errorf("the message is %+v", got)
	}
}

// TestOneCommitForAllThatWait: what arrives while a commit is under way is taken by the next one, in order of arrival;
// nobody is answered before.
func TestOneCommitForAllThatWait(t *testing.T) {
	server := natstest.Start(t, nil)
	events := &fakeEvents{gate: make(chan struct{})}
	s := serve(t, server, options(t, events, &fakeStore{t: t}))
	nc := server.Connect()
	answers, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	for i := range n {
		body := fmt.Sprintf(`{"id":"%d"}`, i)
		if i == n/2 {
			body = `[{"id":"in a batch"}]`
		}
		if err := nc.PublishRequest("carrier.submit.s", answers.Subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			until(t, "the first one is taken", func() bool { return events.begun() == 1 })
		}
	}
	until(t, func() string { return fmt.Sprintf("%d wait", len(s.submit.queue)) }, func() bool { return len(s.submit.queue) == n-1 })
	if early, _, _ := answers.Pending(); early != 0 {
		t.Errorf("%d were answered before the commit", early)
	}
	close(events.gate)
	for i := range n {
		m, err := answers.NextMsgWithContext(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`{"id":"%d",`, i); i != n/2 && !strings.HasPrefix(string(m.Data), want) {
			t.Fatalf("answer %d is %s", i, m.Data)
		}
	}
	bodies, calls := events.taken()
	for i, b := range bodies {
		if want := fmt.Sprintf(`{"id":"%d"}`, i); i != n/2 && b != want {
			t.Fatalf("message %d was %s", i, b)
		}
	}
	if len(bodies) != n || calls > 4 {
		t.Errorf("%d messages were taken in %d calls", len(bodies), calls)
	}
}

// TestAnswerIsNoCommand: what the service may publish, a sender can't have it publish by calling it an inbox.
func TestAnswerIsNoCommand(t *testing.T) {
	server := natstest.Start(t, nil)
	events := &fakeEvents{}
	s := serve(t, server, options(t, events, &fakeStore{t: t}))
	js := jetStream(t, server)
	setUp(t, js, nil, nil)
	nc := server.Connect()
	for _, subject := range []string{"carrier.submit.s", "carrier.token.SF"} {
		for _, inbox := range []string{"carrier.events.other", "carrier.submit.other", "$JS.API.STREAM.PURGE.CARRIER_EVENTS", "$SRV.PING"} {
			if err := nc.PublishRequest(subject, inbox, []byte(`{"id":"a"}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(t, func() string {
		return fmt.Sprintf("%+v %+v", s.submit.data(), s.token.data())
	}, func() bool { return s.submit.data().Refused == 4 && s.token.data().Refused == 4 })
	if bodies, _ := events.taken(); len(bodies) != 0 {
		t.Errorf("taken: %q", bodies)
	}
	stream, err := js.Stream(t.Context(), eventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.LastSeq; n != 0 {
		t.Errorf("%d answers became events", n)
	}
}

// TestFullQueueIsAnsweredAtOnce by number and by bytes, and there is room again afterwards.
func TestFullQueueIsAnsweredAtOnce(t *testing.T) {
	tests := []struct {
		name string
		fill int
		head nats.Header
		body string
	}{
		{"requests", maxWaiting, nil, `{"id":"a"}`},
		{"bytes", maxWaitingBytes / (1 << 19), nil, `{"id":"` + strings.Repeat("a", 1<<19-9) + `"}`},
		{"bytes of headers", maxWaitingBytes / (1 << 19), nats.Header{"x": {strings.Repeat("a", 1<<19)}}, `{"id":"a"}`},
		{"lines of headers", maxWaitingBytes / headerLine / 1000, nats.Header{"x": make([]string, 1000)}, `{"id":"a"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := natstest.Start(t, nil)
			events := &fakeEvents{gate: make(chan struct{})}
			s := serve(t, server, options(t, events, &fakeStore{t: t}))
			nc := server.Connect()
			if err := nc.Publish("carrier.submit.s", []byte(`{"id":"first"}`)); err != nil {
				t.Fatal(err)
			}
			until(t, "the first one is taken", func() bool { return events.begun() == 1 })
			for range tt.fill {
				if err := nc.PublishMsg(&nats.Msg{Subject: "carrier.submit.s", Header: tt.head, Data: []byte(tt.body)}); err != nil {
					t.Fatal(err)
				}
			}
			got := asked(t, nc, "carrier.submit.s", tt.head, tt.body)
			if got.Header.Get(micro.ErrorCodeHeader) != "429" || got.Header.Get(micro.ErrorHeader) != "rate_limited" || got.Header.Get("retry-after") != "1" {
				t.Errorf("the answer is %v %s", got.Header, got.Data)
			}
			close(events.gate)
			until(t, func() string { return fmt.Sprintf("%d bytes are left", s.submit.bytes.Load()) }, func() bool { return s.submit.bytes.Load() == 0 })
			if got := asked(t, nc, "carrier.submit.s", nil, `{"id":"b"}`); got.Header.Get(micro.ErrorCodeHeader) != "" {
				t.Errorf("later: %v", got.Header)
			}
			if d := s.submit.data(); d.Refused == 0 || d.Waiting != 0 {
				t.Errorf("the figures are %+v", d)
			}
		})
	}
}

// TestServiceSurvivesRestarts of the server, with nobody's help.
func TestServiceSurvivesRestarts(t *testing.T) {
	server := natstest.Start(t, nil)
	serve(t, server, options(t, &fakeEvents{}, &fakeStore{t: t}))
	nc := server.Connect()
	for i := range 3 {
		server.Restart()
		until(t, func() string { return fmt.Sprintf("after restart %d it does not answer", i+1) }, func() bool {
			_, err := nc.Request("carrier.submit.s", []byte(`{"id":"a"}`), time.Second)
			return err == nil
		})
	}
}

// TestServiceBeginsWithoutServer: it is there as patience as the server is.
func TestServiceBeginsWithoutServer(t *testing.T) {
	server := natstest.Start(t, nil)
	server.Down()
	s := newService(server.Connect(), options(t, &fakeEvents{}, &fakeStore{t: t}))
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	defer s.stop(t.Context())
	server.Up()
	nc := server.Connect()
	until(t, "it answers", func() bool {
		_, err := nc.Request("carrier.submit.s", []byte(`{"id":"a"}`), time.Second)
		return err == nil
	})
}

// TestStopAnswersWhatWasTaken: everything that reached the service gets an answer, and nothing reaches it any more.
func TestStopAnswersWhatWasTaken(t *testing.T) {
	tests := []struct {
		name string
		cut  bool // The time to stop is up before the commit ends.
	}{{"in time", false}, {"cut off", true}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := natstest.Start(t, nil)
			events := &fakeEvents{gate: make(chan struct{})}
			s := serve(t, server, options(t, events, &fakeStore{t: t}))
			nc := server.Connect()
			answers, err := nc.SubscribeSync(nc.NewInbox())
			if err != nil {
				t.Fatal(err)
			}
			const n = 200
			for i := range n {
				if err := nc.PublishRequest("carrier.submit.s", answers.Subject, fmt.Appendf(nil, `{"id":"%d"}`, i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			until(t, "one is taken", func() bool { return events.begun() == 1 })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stopping sync.WaitGroup
			stopping.Go(func() { s.stop(ctx) })
			until(t, "it listens no more", func() bool {
				_, err := nc.Request("carrier.submit.s", []byte(`{"id":"late"}`), time.Second)
				return errors.Is(err, nats.ErrNoResponders)
			})
			if tt.cut {
				cancel()
			} else {
				close(events.gate)
			}
			stopping.Wait()
			kept := 0
			for i := range n {
				m, err := answers.NextMsgWithContext(within(t))
				if err != nil {
					t.Fatalf("answer %d: %v", i, err)
				}
				switch code := m.Header.Get(micro.ErrorCodeHeader); {
				case code == "":
					kept++
				case !tt.cut && !strings.Contains(string(m.Data), `"reason":"stopping"`): // What the library handed over too late.
					t.Fatalf("answer %d is %q %s", i, code, m.Data)
				}
			}
			taken, _ := events.taken()
			taken = slices.DeleteFunc(taken, func(body string) bool { return strings.Contains(body, "late") })
			if tt.cut && kept != 0 || !tt.cut && (kept == 0 || kept != len(taken)) {
				t.Errorf("%d requests were kept, as the answers say, and %d were taken", kept, len(taken))
			}
			s.stop(ctx) // Twice is fine.
		})
	}
}

// TestStopWithoutServer does not wait for a server that is away.
func TestStopWithoutServer(t *testing.T) {
	server := natstest.Start(t, nil)
	s := serve(t, server, options(t, &fakeEvents{}, &fakeStore{t: t}))
	server.Down()
	until(t, "the connection is lost", func() bool { return !s.nc.IsConnected() })
	before := time.Now()
	s.stop(t.Context())
	if took := time.Since(before); took > flushWithin {
		t.Errorf("it took %s", took)
	}
}

// TestTokens: each is registered for its waybill, and what can't be one is told why.
func TestTokens(t *testing.T) {
	server := natstest.Start(t, nil)
	kept := &fakeStore{t: t}
	serve(t, server, options(t, &fakeEvents{}, kept))
	nc := server.Connect()
	tests := []struct {
		name, subject, body string
		code, want          string
	}{
		{"new", "SF", `{"waybill_id":"W1","token":"T1"}`, "", `{"delivery_id":"SF","waybill_id":"W1","changed":true}`},
		{"the same again", "SF", `{"token":"T1","waybill_id":"W1"}`, "", `{"delivery_id":"SF","waybill_id":"W1","changed":false}`},
		{"newer", "SF", `{"waybill_id":"W1","token":"T2"}`, "", `"changed":true`},
		{"another account", "顺丰", `{"waybill_id":"W1","token":"<&>"}`, "", `{"delivery_id":"顺丰","waybill_id":"W1","changed":true}`},
		{"no such account", "YTO", `{"waybill_id":"W1","token":"` + secretToken + `"}`, "404", `"code":"not_found"`},
		{"no JSON", "SF", `{"waybill_id":"` + secretToken, "400", `"code":"malformed_json"`},
		{"empty", "SF", ``, "400", `"code":"malformed_json"`},
		{"not UTF-8", "SF", "{\"waybill_id\":\"\xff\"}", "400", `"code":"not_utf8"`},
		{"an array", "SF", `["` + secretToken + `"]`, "400", `must be a JSON object`},
		{"no Token", "SF", `{"waybill_id":"W1"}`, "400", `"field":"token","code":"length"`},
		{"no waybill", "SF", `{"token":"` + secretToken + `"}`, "400", `"field":"waybill_id","code":"required"`},
		{"a space", "SF", `{"waybill_id":"W 1","token":"T"}`, "400", `"field":"waybill_id","code":"illegal_character"`},
		{"65 characters", "SF", `{"waybill_id":"` + strings.Repeat("运", 65) + `","token":"T"}`, "400", `"field":"waybill_id"`},
		{"64 characters", "SF", `{"waybill_id":"` + strings.Repeat("运", 64) + `","token":"T"}`, "", `"changed":true`},
		{"256 bytes", "SF", `{"waybill_id":"W2","token":"` + strings.Repeat("t", 256) + `"}`, "", `"changed":true`},
		{"257 bytes", "SF", `{"waybill_id":"W2","token":"` + strings.Repeat("t", 257) + `"}`, "400", `"field":"token","code":"length"`},
		{"null", "SF", `{"waybill_id":"W1","token":null}`, "400", `"field":"token","code":"type"`},
		{"a number", "SF", `{"waybill_id":1,"token":"T"}`, "400", `"field":"waybill_id","code":"type"`},
		{"twice", "SF", `{"waybill_id":"W1","token":"T","token":"` + secretToken + `"}`, "400", `"field":"token","code":"repeated_field"`},
		{"capitals", "SF", `{"waybill_id":"W1","Token":"` + secretToken + `"}`, "400", `"code":"unknown_field"`},
		{"names and values mixed up", "SF", `{"` + secretToken + `":"token"}`, "400", `"code":"unknown_field"`},
		{"too large", "SF", `{"waybill_id":"W1","token":"` + strings.Repeat("t", maxTokenBody) + `"}`, "413", `"max_bytes":65536`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := asked(t, nc, "carrier.token."+tt.subject, nil, tt.body)
			if code := got.Header.Get(micro.ErrorCodeHeader); code != tt.code || !strings.Contains(string(got.Data), tt.want) {
				t.Errorf("the answer is %q %s, want %q %s", code, got.Data, tt.code, tt.want)
			}
			if strings.Contains(string(got.Data)+fmt.Sprint(got.Header), secretToken) {
				t.Errorf("the answer repeats the Token: %s", got.Data)
			}
		})
	}
	if got := kept.tokens[state.Waybill{DeliveryID: "SF", WaybillID: "W1"}]; strings.Join(got, " ") != "T1 T2" {
		t.Errorf("W1 has the Tokens %q", got)
	}
	for err, want := range map[error]string{store.ErrDiskLow: "store_unavailable", errors.New("torn"): "outcome_unknown"} {
		kept.mu.Lock()
		kept.fail = err
		kept.mu.Unlock()
		got := asked(t, nc, "carrier.token.SF", nil, `{"waybill_id":"W1","token":"T3"}`)
		if got.Header.Get(micro.ErrorHeader) != want || got.Header.Get("retry-after") != "2" || got.Header.Get(micro.ErrorCodeHeader) != "503" {
			t.Errorf("%v: %v %s", err, got.Header, got.Data)
		}
	}
}

// TestTokensOfOneWaybillKeepTheirOrder: the newest is the one that came last.
func TestTokensOfOneWaybillKeepTheirOrder(t *testing.T) {
	server := natstest.Start(t, nil)
	kept := &fakeStore{t: t}
	s := serve(t, server, options(t, &fakeEvents{}, kept))
	nc := server.Connect()
	const n = 300
	for i := range n {
		for _, w := range []string{"W1", "W2"} {
			if err := nc.Publish("carrier.token.SF", fmt.Appendf(nil, `{"waybill_id":%q,"token":"%d"}`, w, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(t, func() string { return fmt.Sprintf("%+v", s.token.data()) }, func() bool { return s.token.data().Answered == 2*n })
	for w, got := range kept.tokens {
		for i, token := range got {
			if token != strconv.Itoa(i) {
				t.Fatalf("%s: Token %d is %s", w, i, token)
			}
		}
		if len(got) != n {
			t.Errorf("%s has %d Tokens", w, len(got))
		}
	}
}

// TestStandardSubjects: the nats tool finds the service, its schemas and its figures.
func TestStandardSubjects(t *testing.T) {
	server := natstest.Start(t, nil)
	serve(t, server, options(t, &fakeEvents{}, &fakeStore{t: t}))
	nc := server.Connect()
	for range 3 {
		asked(t, nc, "carrier.submit.s", nil, `{"id":"a"}`)
	}
	asked(t, nc, "carrier.submit.s", nil, `{"id":"bad"}`)
	var info micro.Info
	if err := json.Unmarshal(asked(t, nc, "$SRV.INFO.carrier", nil, "").Data, &info); err != nil {
		t.Fatal(err)
	}
	if info.Name != "carrier" || info.Version != "0.0.0-carrier-test" || len(info.Endpoints) != 2 {
		t.Errorf("the service is %+v", info)
	}
	for _, e := range info.Endpoints {
		if e.Subject != "carrier."+e.Name+".*" || e.QueueGroup != "carrier" {
			t.Errorf("an endpoint is %+v", e)
		}
		for _, key := range []string{"request_schema", "response_schema"} {
			if !json.Valid([]byte(e.Metadata[key])) {
				t.Errorf("%s: %s is %q", e.Name, key, e.Metadata[key])
			}
		}
	}
	var stats string
	until(t, func() string { return "the statistics are " + stats }, func() bool { // The library counts a request a moment after it was handed on.
		stats = string(asked(t, nc, "$SRV.STATS.carrier", nil, "").Data)
		return strings.Contains(stats, `"subject":"carrier.submit.*","queue_group":"carrier","num_requests":4,"num_errors":0`)
	})
	if want := `"data":{"waiting":0,"answered":3,"problems":1,"refused":0,"unanswered":0,"overflows":0,"answer_time":`; !strings.Contains(stats, want) {
		t.Errorf("the statistics are %s", stats)
	}
}

func TestSemver(t *testing.T) {
	tests := map[string]string{
		"v1.2.3": "1.2.3", "1.2.3-rc.1+b5": "1.2.3-rc.1+b5", "": "0.0.0-carrier-", "(devel)": "0.0.0-carrier--devel-", "v1.2": "0.0.0-carrier-v1-2",
		"v0.0.0-20261122013900-abcdefabcdef+dirty": "0.0.0-20261122013900-abcdefabcdef+dirty", "1.02.3": "0.0.0-carrier-1-02-3", "开发": "0.0.0-carrier--",
	}
	for version, want := range tests {
		if got := semver(version); got != want || !semverForm.MatchString(got) {
			t.Errorf("%q becomes %q, want %q", version, got, want)
		}
	}
}
