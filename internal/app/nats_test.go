package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/app/apptest"
	"carrier/internal/bus/natstest"
	"carrier/internal/sandbox"
)

// Names that others rely on (README, Over NATS).
const (
	eventsStream   = "CARRIER_EVENTS"
	outcomesStream = "CARRIER_OUTCOMES"
	intakeConsumer = "carrier-ingest"
)

// natsRig is the whole service beside a NATS server of its own, a sandbox upstream, and a dispatch system that speaks
// NATS.
type natsRig struct {
	t        *testing.T
	srv      *natstest.Server
	up       *apptest.Upstream
	settings *apptest.Settings
	s        *service
	*dispatch
}

// startNATS starts one, with the account SF, and waits until everything is well. edit may change its settings.
func startNATS(t *testing.T, edit func(*apptest.Settings)) *natsRig {
	t.Helper()
	r := prepareNATS(t, edit, nil)
	r.start()
	return r
}

// prepareNATS is all of a rig but the service. options may change the server's.
func prepareNATS(t *testing.T, edit func(*apptest.Settings), options func(*server.Options)) *natsRig {
	t.Helper()
	r := &natsRig{t: t, srv: natstest.Start(t, options), up: apptest.NewUpstream(t, sandbox.Options{Open: true})}
	r.settings = apptest.NewSettings(t, sf(r.up))
	r.settings.NATS = fmt.Sprintf("{url: %q}", r.srv.URL())
	if edit != nil {
		edit(r.settings)
	}
	r.dispatch = newDispatch(t, r.srv.Connect())
	return r
}

// start starts the service and waits until it says that all is well.
func (r *natsRig) start() {
	r.t.Helper()
	r.s = start(r.t, r.settings)
	r.ready()
}

func (r *natsRig) ready() {
	r.t.Helper()
	untilHealth(r.t, r.s, "ready", "")
}

// degraded waits until /readyz, with 200, names something that does not work in words that hold about.
func (r *natsRig) degraded(about string) {
	r.t.Helper()
	untilHealth(r.t, r.s, "degraded", about)
}

// untilHealth waits until /readyz tells a status, and with it something that holds about, in any letter case.
func untilHealth(t *testing.T, s *service, status, about string) {
	t.Helper()
	var last string
	apptest.Eventually(t, later, func() bool {
		code, body := get(t, s.Admin+"/readyz")
		last = fmt.Sprint(code, " ", body)
		var health struct{ Status string }
		return json.Unmarshal([]byte(body), &health) == nil && health.Status == status && code == http.StatusOK &&
			strings.Contains(strings.ToLower(body), strings.ToLower(about))
	}, func() string { return fmt.Sprintf("/readyz says %q with %q; it says %s", status, about, last) })
}

// eventually waits for something that takes milliseconds on an idle machine.
func (r *natsRig) eventually(ok func() bool, what string) {
	r.t.Helper()
	apptest.Eventually(r.t, later, ok, apptest.Text(what))
}

// deadLetter is a message that could not be read, as operators see it.
type deadLetter struct {
	Source     string  `json:"source"`
	Subject    string  `json:"subject"`
	Code       string  `json:"code"`
	Reason     string  `json:"reason"`
	Body       *string `json:"body"`
	BodyBase64 string  `json:"body_base64"`
}

// bytes are those of the message.
func (d *deadLetter) bytes(t *testing.T) string {
	t.Helper()
	if d.Body != nil {
		return *d.Body
	}
	raw, err := base64.StdEncoding.DecodeString(d.BodyBase64)
	if err != nil {
		t.Error(err)
	}
	return string(raw)
}

// deadLetters lists them, oldest first.
func (r *natsRig) deadLetters() (all []deadLetter) {
	r.t.Helper()
	for path := "/admin/v1/dead-letters?limit=1000"; ; {
		var page struct {
			Items      []deadLetter
			NextCursor string `json:"next_cursor"`
		}
		r.s.Call(r.t, http.MethodGet, path, nil, http.StatusOK, &page)
		all = append(all, page.Items...)
		if page.NextCursor == "" {
			slices.Reverse(all)
			return all
		}
		path = "/admin/v1/dead-letters?limit=1000&cursor=" + page.NextCursor
	}
}

// asyncPending is how many publications may wait for the server's answer.
const asyncPending = 1000

// dispatch is a dispatch system, or any other client of a NATS server. It is used by the test's goroutine.
type dispatch struct {
	t  *testing.T
	nc *nats.Conn
	js jetstream.JetStream
}

func newDispatch(t *testing.T, nc *nats.Conn) *dispatch {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(asyncPending))
	if err != nil {
		t.Fatal(err)
	}
	return &dispatch{t: t, nc: nc, js: js}
}

// publish publishes on carrier.events.SOURCE and returns the message's number in the stream.
func (d *dispatch) publish(source string, body []byte, header nats.Header) uint64 {
	d.t.Helper()
	ack, err := d.js.PublishMsg(d.t.Context(), &nats.Msg{Subject: "carrier.events." + source, Data: body, Header: header})
	if err != nil {
		d.t.Fatalf("publishing as %s: %v", source, err)
	}
	if ack.Stream != eventsStream {
		d.t.Fatalf("what is published as %s is kept by %s, want %s", source, ack.Stream, eventsStream)
	}
	return ack.Sequence
}

// publishEvents publishes events one by one.
func (d *dispatch) publishEvents(source string, events ...apptest.Event) {
	d.t.Helper()
	for _, e := range events {
		d.publish(source, asJSON(d.t, e), nil)
	}
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// withoutID is an event as JSON that leaves its id to be told by a header.
func withoutID(t *testing.T, e apptest.Event) []byte {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(asJSON(t, e), &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "id")
	return asJSON(t, members)
}

// drained waits until every message published so far is acknowledged or terminated. The stream keeps no others.
func (d *dispatch) drained() {
	d.t.Helper()
	var last string
	apptest.Eventually(d.t, later, func() bool {
		stream, err := d.js.Stream(d.t.Context(), eventsStream)
		if err != nil {
			last = err.Error()
			return false
		}
		last = fmt.Sprintf("%+v", stream.CachedInfo().State)
		return stream.CachedInfo().State.Msgs == 0
	}, func() string { return "all that was published is taken; the stream: " + last })
}

// waiting counts the messages that are neither acknowledged nor terminated.
func (d *dispatch) waiting() uint64 {
	d.t.Helper()
	stream, err := d.js.Stream(d.t.Context(), eventsStream)
	if err != nil {
		d.t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

// submit makes a request on carrier.submit.SOURCE.
func (d *dispatch) submit(source string, body []byte, header nats.Header) apptest.Answer {
	d.t.Helper()
	return d.ask("carrier.submit."+source, body, header)
}

// ask makes a request that must be answered, as the micro-service API has it.
func (d *dispatch) ask(subject string, body []byte, header nats.Header) apptest.Answer {
	d.t.Helper()
	a, err := request(d.nc, subject, body, header)
	if err != nil {
		d.t.Fatalf("a request on %s: %v", subject, err)
	}
	return a
}

// request makes a request and checks that the answer is whole: a problem's header, code and status agree. Answers that
// are no problem have no status here.
func request(nc *nats.Conn, subject string, body []byte, header nats.Header) (a apptest.Answer, err error) {
	m, err := nc.RequestMsg(&nats.Msg{Subject: subject, Data: body, Header: header}, soon)
	if err != nil {
		return a, err
	}
	a.Body, a.Head = m.Data, http.Header{}
	for name, values := range m.Header {
		a.Head[http.CanonicalHeaderKey(name)] = values
	}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return a, fmt.Errorf("an answer that is no JSON (%w): %.200s", err, m.Data)
	}
	code, description := a.Head.Get(micro.ErrorCodeHeader), a.Head.Get(micro.ErrorHeader)
	if code == "" && description == "" {
		if media := a.Head.Get("Content-Type"); media != "application/json" {
			return a, fmt.Errorf("content-type %q: %.200s", media, m.Data)
		}
		return a, nil
	}
	if a.HTTP, err = strconv.Atoi(code); err != nil {
		return a, fmt.Errorf("the error code %q is no HTTP status: %.200s", code, m.Data)
	}
	media := a.Head.Get("Content-Type")
	if media != "application/problem+json" || a.Status != a.HTTP || a.Code == "" || a.Code != description || a.Title == "" || a.Detail == "" {
		return a, fmt.Errorf("the problem is not whole: content-type %q, %s %s: %.200s", media, code, description, m.Data)
	}
	return a, nil
}

// outcome is a message on carrier.outcomes.
type outcome struct {
	Subject string
	Header  nats.Header
	Raw     []byte

	apptest.Kept
	Status     string    `json:"status"`
	Attempts   int       `json:"attempts"`
	Errcode    int       `json:"errcode"`
	Errmsg     string    `json:"errmsg"`
	Reason     string    `json:"reason"`
	ReceivedAt time.Time `json:"received_at"`
	EndedAt    time.Time `json:"ended_at"`
	From       string    `json:"from"`
	Allowed    []int     `json:"allowed"`
}

// header is the value of a header, in any letter case; empty if it is missing.
func (o *outcome) header(name string) string {
	for key, values := range o.Header {
		if strings.EqualFold(key, name) && len(values) == 1 {
			return values[0]
		}
	}
	return ""
}

// outcomes waits until n outcomes were told, and reads all that are in the stream, in its order.
func (d *dispatch) outcomes(n int) []outcome {
	d.t.Helper()
	var stream jetstream.Stream
	last := "the stream is not there"
	apptest.Eventually(d.t, later, func() (ok bool) {
		var err error
		if stream, err = d.js.Stream(d.t.Context(), outcomesStream); err != nil {
			return false
		}
		last = fmt.Sprintf("%+v", stream.CachedInfo().State)
		return stream.CachedInfo().State.Msgs >= uint64(n)
	}, func() string { return fmt.Sprintf("%d outcomes are told: %s", n, last) })
	return readOutcomes(d.t, stream)
}

// readOutcomes reads all that are in the stream by its latest information.
func readOutcomes(t *testing.T, stream jetstream.Stream) (all []outcome) {
	t.Helper()
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for want := int(stream.CachedInfo().State.Msgs); len(all) < want; {
		batch, err := consumer.Fetch(min(1000, want-len(all)), jetstream.FetchMaxWait(soon))
		if err != nil {
			t.Fatal(err)
		}
		for m := range batch.Messages() {
			o := outcome{Subject: m.Subject(), Header: m.Headers(), Raw: m.Data()}
			if err := json.Unmarshal(m.Data(), &o); err != nil {
				t.Fatalf("an outcome that is no JSON (%v): %s", err, m.Data())
			}
			all = append(all, o)
		}
		if err := batch.Error(); err != nil {
			t.Fatalf("%d of %d outcomes could be read: %v", len(all), want, err)
		}
	}
	return all
}
