package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/bus/natstest"
	"carrier/internal/wiretest"
)

// says waits until a line of Degraded holds all words.
func (r *rig) says(words ...string) {
	r.Helper()
	var lines []string
	holds := func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if lines = r.bus.Degraded(); slices.ContainsFunc(lines, holds) {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("nothing says %q: %q", words, lines)
		}
	}
}

// TestDriftIsLeftAlone fails if the intake changes what an operator has set, or does not work with what works.
func TestDriftIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	p := newPublisher(t, s.Connect())
	setUp(t, p.js, func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		func(c *jetstream.ConsumerConfig) {
			c.MaxAckPending, c.AckWait, c.MaxRequestBatch, c.MaxRequestExpires = 77, 3*time.Second, 10, 3*time.Second
		})
	before := plan(t, p.js)
	r := start(t, newDesk(t), Options{URL: s.URL()})
	p.publish(t.Context(), 500)
	r.empty(p.js)
	r.desk.wantAll(p.published(), true)
	if after := plan(t, p.js); !slices.Equal(after, before) {
		t.Errorf("it was\n%v\nand became\n%v", before, after)
	}
	r.steady()
}

// TestHarm fails if the intake goes on with a consumer that loses messages, does not say so, or does not notice that it
// was put right.
func TestHarm(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	p := newPublisher(t, s.Connect())
	limits := func(c *jetstream.StreamConfig) { c.Retention = jetstream.LimitsPolicy }
	setUp(t, p.js, limits, func(c *jetstream.ConsumerConfig) {
		c.AckPolicy, c.AckWait, c.MaxDeliver = jetstream.AckNonePolicy, 0, 0
	})
	r := start(t, newDesk(t), Options{URL: s.URL()})
	p.publish(t.Context(), 50)
	r.says("the intake of carrier.events.*", "ack_policy", "wanted", "carrier nats plan")
	if n := r.desk.total(); n != 0 {
		t.Errorf("%d messages were taken that can't be given back", n)
	}
	if err := p.js.DeleteConsumer(t.Context(), eventsStream, eventsConsumer); err != nil {
		t.Fatal(err)
	}
	until(t, "all is taken", func() bool { return r.desk.total() == 50 })
	r.steady()
}

// TestHarmWhileAtWork fails if messages lose their bodies because somebody edits the consumer of an intake at work.
func TestHarmWhileAtWork(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	r := start(t, newDesk(t), Options{URL: s.URL()})
	p := newPublisher(t, s.Connect())
	r.made(p.js)
	p.publish(t.Context(), 50)
	r.empty(p.js)
	config := wantedConsumer()
	config.HeadersOnly = true
	if _, err := p.js.UpdateConsumer(t.Context(), eventsStream, config); err != nil {
		t.Fatal(err)
	}
	p.publish(t.Context(), 50)
	r.says("headers_only", "carrier nats plan")
	if left, err := Apply(t.Context(), p.js, Options{}); err != nil || len(left) > 0 {
		t.Fatalf("%v, %v", left, err)
	}
	r.empty(p.js)
	r.desk.wantAll(p.published(), false)
	if n := len(r.desk.letters); n != 0 {
		t.Errorf("%d messages without their bodies became dead letters", n)
	}
	r.steady()
}

// TestOverlapIsExplained fails if it isn't said why there is no intake, or the intake does not begin once there can be.
func TestOverlapIsExplained(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	js := streams(t, s.Connect())
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"carrier.events.>"}}); err != nil {
		t.Fatal(err)
	}
	r := start(t, newDesk(t), Options{URL: s.URL()})
	r.says("carrier.events.*", "taken by stream OTHER", "carrier nats plan")
	if err := js.DeleteStream(t.Context(), "OTHER"); err != nil {
		t.Fatal(err)
	}
	r.steady()
	r.made(js)
}

// TestWithoutJetStream fails if it is not said what to do about a server that has none.
func TestWithoutJetStream(t *testing.T) {
	t.Parallel()
	r := start(t, newDesk(t), Options{URL: natsServerWithoutJetStream(t).URL()})
	r.says("the intake of carrier.events.*", "JetStream")
	r.says("the stream of outcomes", "JetStream")
}

// TestNoServer fails if Open waits for a server that is away, Degraded does not say so, or the server is not found when
// it comes.
func TestNoServer(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	s.Down()
	began := time.Now()
	r := start(t, newDesk(t), Options{URL: s.URL()})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Open took %s", took)
	}
	r.says("no connection to "+s.URL(), "connection refused")
	s.Up()
	p := newPublisher(t, s.Connect())
	p.publish(t.Context(), 10)
	r.empty(p.js)
	r.steady()
	until(t, "the observer hears of it", func() bool {
		r.seen.mu.Lock()
		defer r.seen.mu.Unlock()
		return r.seen.up && r.seen.looks > 0
	})
}

// TestRefusedLogin fails if a wrong password ends the tries, or gets into what others read.
func TestRefusedLogin(t *testing.T) {
	t.Parallel()
	const password = "S3cret%Pass"
	s := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "ops", "another" })
	host := strings.TrimPrefix(s.URL(), "nats://")
	for _, test := range []struct {
		name string
		o    Options
	}{
		{"options", Options{URL: s.URL(), User: "ops", Password: password}},
		{"in the address", Options{URL: "nats://ops:S3cret%25Pass@" + host}},
		{"a token in the address", Options{URL: "nats://S3cret%25Pass@" + host}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, newDesk(t), test.o)
			r.says("no connection to "+s.URL(), "Authorization Violation", "nats.user")
			began := time.Now()
			until(t, "several tries", func() bool { return time.Since(began) > time.Second })
			r.says("no connection to "+s.URL(), "Authorization Violation")
			_, err := Connect(t.Context(), test.o)
			if err == nil || !strings.Contains(err.Error(), "Authorization Violation") {
				t.Errorf("Connect: %v", err)
			}
			for _, text := range append(r.bus.Degraded(), err.Error(), r.bus.ClientURL(), test.o.String()) {
				if strings.Contains(text, "S3cret") {
					t.Errorf("the password is in %q", text)
				}
			}
		})
	}
}

// TestMissingPermission fails if a user who may not ask JetStream learns of nothing but a time-out.
func TestMissingPermission(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "ops", Password: "pw", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"carrier.>"}},
		}}}
	})
	r := start(t, newDesk(t), Options{URL: s.URL(), User: "ops", Password: "pw"})
	r.says("the intake of carrier.events.*", "no answer in time", `Permissions Violation for Publish to "$JS.API.`)
}

// TestRefusalsOfOthers: what the intake may not do is told with its trouble, what others may not is not.
func TestRefusalsOfOthers(t *testing.T) {
	for subject, want := range map[string]bool{
		"$JS.API.STREAM.INFO.CARRIER_EVENTS":                       true,
		"$JS.API.CONSUMER.MSG.NEXT.CARRIER_EVENTS.carrier-ingest":  true,
		"$JS.hub.API.STREAM.CREATE.CARRIER_EVENTS":                 true,
		"$JS.ACK.CARRIER_EVENTS.carrier-ingest.1.2.3.1767339000.0": true,
		"_INBOX.abc.*":                         true,
		"$JS.API.STREAM.INFO.CARRIER_OUTCOMES": false,
		"carrier.outcomes.SF.delivered":        false,
		"carrier.orders.SF.add_waybill":        false,
		"carrier.submit.*":                     false,
	} {
		l := &link{calm: newCalm(testLog(t))}
		l.asyncError(nil, fmt.Errorf(`%w: Permissions Violation for Publish to "%s"`, nats.ErrPermissionViolation, subject))
		if got := (&intake{link: l}).withPermission(errors.New("no answer")).Error(); strings.Contains(got, subject) != want {
			t.Errorf("%s: the intake's trouble is %q", subject, got)
		}
	}
}

// TestConnectSays checks what Connect says of what it can't use.
func TestConnectSays(t *testing.T) {
	address := wiretest.Nobody(t)
	for _, test := range []struct {
		name string
		o    Options
		want []string
	}{
		{"nobody there", Options{URL: "nats://" + address}, []string{address, "no servers available", "nats.url"}},
		{"embedded, not running", Options{URL: EmbeddedURL, Embedded: Embedded{Listen: address}}, []string{"no servers available"}},
		{"no address", Options{URL: "nats://u:s3cret%zz@h:4222"}, []string{"nats.url", "address 1 is none"}},
		{"another scheme", Options{URL: "nats://a:4222,http://b"}, []string{"address 2 is none", "tls://"}},
		{"creds missing", Options{URL: address, CredsFile: "/nowhere/u.creds"}, []string{"/nowhere/u.creds"}},
		{"nkey missing", Options{URL: address, NKeyFile: "/nowhere/u.nk"}, []string{"nats.nkey_file", "/nowhere/u.nk"}},
		{"ca missing", Options{URL: address, TLS: TLS{CAFile: "/nowhere/ca.pem"}}, []string{"/nowhere/ca.pem"}},
		{"certificate missing", Options{URL: address, TLS: TLS{CertFile: "/nowhere/c.pem", KeyFile: "/nowhere/k.pem"}}, []string{"/nowhere/c.pem"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Connect(t.Context(), test.o)
			if err == nil {
				t.Fatal("it connected")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

// TestOutcomesStreamComesBack fails if the stream of outcomes is not made again.
func TestOutcomesStreamComesBack(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	r := start(t, newDesk(t), Options{URL: s.URL()})
	js := streams(t, s.Connect())
	r.made(js)
	if err := js.DeleteStream(t.Context(), outcomesStream); err != nil {
		t.Fatal(err)
	}
	r.made(js)
}

// TestTroubleUntilBegun: a part that has not begun is not well, and what goes wrong then is over only once it works.
func TestTroubleUntilBegun(t *testing.T) {
	part := newTrouble(newCalm(slog.New(slog.DiscardHandler)), "the part")
	want := func(text string) {
		t.Helper()
		if got := part.say(); !strings.HasSuffix(got, text) || (got == "") != (text == "") {
			t.Errorf("it says %q, want it to end in %q", got, text)
		}
	}
	want(notBegun)
	part.begun()
	want("")
	part.set("broken")
	part.begun()
	want("broken")
	part.over()
	want("")
}
