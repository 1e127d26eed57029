package bus

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// plan is Plan, and fails the test if it fails.
func plan(t *testing.T, js jetstream.JetStream) []Difference {
	t.Helper()
	differences, err := Plan(t.Context(), js, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		if d.Object == "" || d.Want == d.Found || d.How.En == "" || d.How.Zh == "" || d.How.Zh == d.How.En {
			t.Errorf("difference %+v says too little", d)
		}
	}
	return differences
}

// setUp makes all as wanted but for edits; nil edits nothing.
func setUp(t *testing.T, js jetstream.JetStream, stream func(*jetstream.StreamConfig), consumer func(*jetstream.ConsumerConfig)) {
	t.Helper()
	if left, err := Apply(t.Context(), js, Options{}); err != nil || len(left) > 0 {
		t.Fatalf("%v, %v", left, err)
	}
	if stream != nil {
		config := wantedEvents(&Options{})
		stream(&config)
		if err := js.DeleteStream(t.Context(), eventsStream); err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	} else if consumer != nil {
		if err := js.DeleteConsumer(t.Context(), eventsStream, eventsConsumer); err != nil {
			t.Fatal(err)
		}
	}
	config := wantedConsumer()
	if consumer != nil {
		consumer(&config)
	}
	var err error
	if config.DeliverSubject != "" {
		_, err = js.CreatePushConsumer(t.Context(), eventsStream, config)
	} else {
		_, err = js.CreateOrUpdateConsumer(t.Context(), eventsStream, config)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestPlanOfNothing(t *testing.T) {
	js := streams(t, natsServer(t).Connect())
	differences := plan(t, js)
	if len(differences) != 3 {
		t.Fatalf("%d differences on an empty server: %v", len(differences), differences)
	}
	for _, d := range differences {
		if d.Field != "" || d.Found != "missing" || !d.Harm || !d.Fixable {
			t.Errorf("%+v", d)
		}
	}
	left, err := Apply(t.Context(), js, Options{})
	if err != nil || len(left) > 0 {
		t.Fatalf("after Apply: %v, %v", left, err)
	}
	if left, err := Apply(t.Context(), js, Options{}); err != nil || len(left) > 0 {
		t.Errorf("a second Apply: %v, %v", left, err)
	}
}

// TestPlan sets one thing after the other otherwise, and looks whether it is found, whether Apply changes it, and
// whether that is what was said.
func TestPlan(t *testing.T) {
	limits := func(c *jetstream.StreamConfig) { c.Retention = jetstream.LimitsPolicy }
	for _, test := range []struct {
		field    string
		harm     bool
		fixable  bool
		stream   func(*jetstream.StreamConfig)
		consumer func(*jetstream.ConsumerConfig)
	}{
		{"subjects", true, true, func(c *jetstream.StreamConfig) { c.Subjects = []string{"carrier.events.app"} },
			func(c *jetstream.ConsumerConfig) { c.FilterSubject = "" }},
		{"subjects", true, true, func(c *jetstream.StreamConfig) {
			c.Subjects = []string{eventsSubject, "carrier.submit.*"}
			c.NoAck = false
		}, nil},
		{"retention", false, false, limits, nil},
		{"retention", false, false, func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, nil},
		{"storage", false, false, func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, nil},
		{"no_ack", false, true, func(c *jetstream.StreamConfig) { c.NoAck = true }, nil},
		{"max_age", false, true, func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, nil},
		{"max_msgs", false, true, func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }, nil},
		{"max_bytes", false, true, func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }, nil},
		{"max_msgs_per_subject", false, true, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 10 }, nil},
		{"max_msg_size", false, true, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }, nil},
		{"duplicate_window", false, true, func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute }, nil},

		{"deliver_subject", true, false, nil, func(c *jetstream.ConsumerConfig) { c.DeliverSubject, c.MaxAckPending = "to.you", 4096 }},
		{"ack_policy", true, false, limits, func(c *jetstream.ConsumerConfig) {
			c.AckPolicy = jetstream.AckNonePolicy
			c.AckWait, c.MaxDeliver = 0, 0
		}},
		{"ack_policy", true, false, limits, func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy }},
		{"filter_subjects", true, true, nil, func(c *jetstream.ConsumerConfig) { c.FilterSubject = "carrier.events.app" }},
		{"filter_subjects", true, true, nil, func(c *jetstream.ConsumerConfig) {
			c.FilterSubject, c.FilterSubjects = "", []string{"carrier.events.app", "carrier.events.web"}
		}},
		{"headers_only", true, true, nil, func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }},
		{"priority_groups", true, true, nil, func(c *jetstream.ConsumerConfig) {
			c.PriorityGroups, c.PriorityPolicy = []string{"one"}, jetstream.PriorityPolicyOverflow
		}},
		{"deliver_policy", false, false, limits, func(c *jetstream.ConsumerConfig) { c.DeliverPolicy = jetstream.DeliverNewPolicy }},
		{"ack_wait", false, true, nil, func(c *jetstream.ConsumerConfig) { c.AckWait = 5 * time.Second }},
		{"backoff", false, true, nil, func(c *jetstream.ConsumerConfig) { c.BackOff = []time.Duration{30 * time.Second, time.Minute} }},
		{"max_deliver", false, true, nil, func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 }},
		{"max_ack_pending", false, true, nil, func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 77 }},
		{"max_batch", false, true, nil, func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 10 }},
		{"max_expires", false, true, nil, func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires = 5 * time.Second }},
		{"max_bytes", false, true, nil, func(c *jetstream.ConsumerConfig) { c.MaxRequestMaxBytes = 1 << 20 }},
		{"replay_policy", false, false, nil, func(c *jetstream.ConsumerConfig) { c.ReplayPolicy = jetstream.ReplayOriginalPolicy }},
		{"mem_storage", false, false, nil, func(c *jetstream.ConsumerConfig) { c.MemoryStorage = true }},
		{"inactive_threshold", false, true, nil, func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour }},
		{"pause_until", true, true, nil, func(c *jetstream.ConsumerConfig) { c.PauseUntil = new(time.Now().Add(time.Hour)) }},
	} {
		t.Run(test.field, func(t *testing.T) {
			t.Parallel()
			js := streams(t, natsServer(t).Connect())
			setUp(t, js, test.stream, test.consumer)
			differences := plan(t, js)
			i := slices.IndexFunc(differences, func(d Difference) bool { return d.Field == test.field })
			if i < 0 {
				t.Fatalf("not found; found: %v", differences)
			}
			if d := differences[i]; d.Harm != test.harm || d.Fixable != test.fixable || !strings.Contains(d.String(), d.Field) {
				t.Errorf("%+v, want harm %v, fixable %v", d, test.harm, test.fixable)
			}
			if again := plan(t, js); !slices.Equal(again, differences) {
				t.Errorf("Plan changed something: %v, then %v", differences, again)
			}
			left, err := Apply(t.Context(), js, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range left {
				if d.Fixable {
					t.Errorf("said to be changed by Apply, and left: %v", d)
				}
			}
			if still := slices.ContainsFunc(left, func(d Difference) bool { return d.Field == test.field }); still == test.fixable {
				t.Errorf("left by Apply: %v", left)
			}
		})
	}
}

// TestPlanOfMuteOutcomes: without acknowledgements no more than one outcome is ever told.
func TestPlanOfMuteOutcomes(t *testing.T) {
	found := wantedOutcomes(&Options{})
	found.NoAck = true
	got := compare("stream "+outcomesStream, &found, new(wantedOutcomes(&Options{})), streamFields)
	if len(got) != 1 || got[0].Field != "no_ack" || !got[0].Harm || !got[0].Fixable {
		t.Errorf("%+v", got)
	}
}

// TestPlanOverlap fails if it isn't explained why the stream can't be made.
func TestPlanOverlap(t *testing.T) {
	js := streams(t, natsServer(t).Connect())
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ALL", Subjects: []string{"carrier.>"}}); err == nil {
		t.Log("the server takes carrier.> for a stream")
	} else {
		t.Fatal(err)
	}
	differences := plan(t, js)
	if d := differences[0]; d.Found != "taken by stream ALL" || !d.Harm || d.Fixable || !strings.Contains(d.How.En, "nats stream edit ALL") || !strings.Contains(d.How.Zh, "nats stream edit ALL") {
		t.Errorf("%+v", d)
	}
	left, err := Apply(t.Context(), js, Options{})
	if err != nil {
		t.Errorf("Apply: %v", err)
	}
	if len(left) != 3 || left[0] != differences[0] {
		t.Errorf("left: %v", left)
	}
	if _, err := js.Stream(t.Context(), "ALL"); err != nil {
		t.Errorf("the other stream: %v", err)
	}
}

// TestApplyKeepsTheRest fails if Apply sets back what it does not compare, or lowers replicas.
func TestApplyKeepsTheRest(t *testing.T) {
	js := streams(t, natsServer(t).Connect())
	setUp(t, js, func(c *jetstream.StreamConfig) {
		c.Description, c.Metadata, c.MaxMsgs, c.AllowDirect = "ours", map[string]string{"team": "logistics"}, 10, true
	}, func(c *jetstream.ConsumerConfig) {
		c.Description, c.AckWait = "also ours", time.Minute
	})
	if left, err := Apply(t.Context(), js, Options{}); err != nil || len(left) > 0 {
		t.Fatalf("%v, %v", left, err)
	}
	stream, err := js.Stream(t.Context(), eventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if c := stream.CachedInfo().Config; c.Description != "ours" || c.Metadata["team"] != "logistics" || !c.AllowDirect || c.MaxMsgs > 0 {
		t.Errorf("the stream became %+v", c)
	}
	consumer, err := js.Consumer(t.Context(), eventsStream, eventsConsumer)
	if err != nil {
		t.Fatal(err)
	}
	if c := consumer.CachedInfo().Config; c.Description != "also ours" || c.AckWait != 30*time.Second {
		t.Errorf("the consumer became %+v", c)
	}
}

// TestPlanWithoutJetStream fails if it is not said what to do about a server that has none.
func TestPlanWithoutJetStream(t *testing.T) {
	s := natsServerWithoutJetStream(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := Plan(ctx, streams(t, s.Connect()), Options{})
	if err == nil || !strings.Contains(err.Error(), "not turned on") && !strings.Contains(err.Error(), "turn JetStream on") {
		t.Errorf("%v", err)
	}
}
