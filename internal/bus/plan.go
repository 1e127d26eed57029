package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/problem"
)

// Difference is one thing that is not as wanted.
type Difference struct {
	Object string // "stream CARRIER_EVENTS", "consumer carrier-ingest".
	Field  string // As the server names it; empty: the object is missing.
	Want   string
	Found  string
	// Harm: what the object is for does not work so, or could lose messages. Other differences may be on purpose.
	Harm    bool
	Fixable bool         // Apply can change it.
	How     problem.Text // What it means, and what to do.
}

// String is the difference in one line.
func (d Difference) String() string {
	if d.Field == "" {
		return fmt.Sprintf("%s is %s", d.Object, d.Found)
	}
	return fmt.Sprintf("%s: %s is %s, wanted %s", d.Object, d.Field, d.Found, d.Want)
}

// harmful are those of differences that do harm.
func harmful(differences []Difference) []Difference {
	var found []Difference
	for _, d := range differences {
		if d.Harm {
			found = append(found, d)
		}
	}
	return found
}

// Plan compares the streams and the consumer with what is wanted. It changes nothing.
func Plan(ctx context.Context, js jetstream.JetStream, o Options) ([]Difference, error) {
	var all []Difference
	for _, step := range steps(js, &o) {
		differences, err := step.compare(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, differences...)
	}
	return all, nil
}

// Apply makes what is missing and changes what differs and can be changed. It returns what is left. What one object
// can't be made like does not keep it from the others.
func Apply(ctx context.Context, js jetstream.JetStream, o Options) ([]Difference, error) {
	var errs []error
	for _, step := range steps(js, &o) {
		differences, err := step.compare(ctx)
		if err == nil && len(differences) > 0 {
			err = step.apply(ctx, differences)
		}
		errs = append(errs, err)
	}
	left, err := Plan(ctx, js, o)
	return left, errors.Join(append(errs, err)...)
}

// step is one object on the server.
type step interface {
	compare(ctx context.Context) ([]Difference, error)
	apply(ctx context.Context, differences []Difference) error
}

// steps are all objects, each after what it needs.
func steps(js jetstream.JetStream, o *Options) []step {
	return []step{
		&streamStep{js: js, want: wantedEvents(o)},
		&consumerStep{js: js, want: wantedConsumer()},
		&streamStep{js: js, want: wantedOutcomes(o)},
	}
}

// streamStep compares a stream.
type streamStep struct {
	js   jetstream.JetStream
	want jetstream.StreamConfig
}

func (s *streamStep) object() string { return "stream " + s.want.Name }

func (s *streamStep) compare(ctx context.Context) ([]Difference, error) {
	stream, err := s.js.Stream(ctx, s.want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return s.obstacle(ctx)
	case err != nil:
		return nil, fmt.Errorf("look at %s: %w", s.object(), explain(err))
	}
	return compare(s.object(), &stream.CachedInfo().Config, &s.want, streamFields), nil
}

// obstacle is the difference of a stream that isn't there: another may be in its way.
func (s *streamStep) obstacle(ctx context.Context) ([]Difference, error) {
	for _, subject := range s.want.Subjects {
		owner, err := s.js.StreamNameBySubject(ctx, subject)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
		case err != nil:
			return nil, fmt.Errorf("look for streams that take %s: %w", subject, explain(err))
		default:
			return []Difference{{
				Object: s.object(), Field: "subjects", Want: subject, Found: "taken by stream " + owner, Harm: true,
				How: problem.Textf("only one stream may take a subject: take %[1]s out of stream %[2]s (nats stream edit %[2]s), or delete that stream",
					"一个主题只能属于一个流：请将 %[1]s 从流 %[2]s 中移除（nats stream edit %[2]s），或删除该流", subject, owner),
			}}, nil
		}
	}
	return []Difference{absent(s.object())}, nil
}

// missing is found of an object that isn't there.
const missing = "missing"

func absent(object string) Difference {
	return Difference{
		Object: object, Want: "there", Found: missing, Harm: true, Fixable: true,
		How: problem.Text{En: "carrier makes it when it starts; carrier nats apply does so now", Zh: "carrier 启动时会创建；carrier nats apply 可立即创建"},
	}
}

func (s *streamStep) apply(ctx context.Context, differences []Difference) error {
	if isMissing(differences) {
		return s.create(ctx)
	}
	stream, err := s.js.Stream(ctx, s.want.Name)
	if err == nil {
		config := stream.CachedInfo().Config
		if change(&config, &s.want, differences, streamFields) {
			_, err = s.js.UpdateStream(ctx, config)
		}
	}
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) { // Then another is in its way; the difference says so.
		return fmt.Errorf("change %s: %w", s.object(), explain(err))
	}
	return nil
}

// create makes the stream. It is no mistake if it is there by now.
func (s *streamStep) create(ctx context.Context) error {
	_, err := s.js.CreateStream(ctx, s.want)
	switch {
	case err == nil, errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
		return nil
	case isCode(err, codeOverlap):
		if differences, lookErr := s.obstacle(ctx); lookErr == nil && differences[0].Field != "" {
			return fmt.Errorf("make %s: %s is %s: %s", s.object(), differences[0].Want, differences[0].Found, differences[0].How.En)
		}
	}
	return fmt.Errorf("make %s: %w", s.object(), explain(err))
}

// consumerStep compares the consumer.
type consumerStep struct {
	js   jetstream.JetStream
	want jetstream.ConsumerConfig
}

func (s *consumerStep) object() string { return "consumer " + s.want.Name }

func (s *consumerStep) compare(ctx context.Context) ([]Difference, error) {
	info, err := s.info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return []Difference{absent(s.object())}, nil
	case err != nil:
		return nil, fmt.Errorf("look at %s: %w", s.object(), explain(err))
	}
	return s.differences(info), nil
}

// info reads the consumer, of whichever kind it is.
func (s *consumerStep) info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	consumer, err := s.js.Consumer(ctx, eventsStream, s.want.Name)
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		push, err := s.js.PushConsumer(ctx, eventsStream, s.want.Name)
		if err != nil {
			return nil, err
		}
		return push.CachedInfo(), nil
	}
	if err != nil {
		return nil, err
	}
	return consumer.CachedInfo(), nil
}

func (s *consumerStep) differences(info *jetstream.ConsumerInfo) []Difference {
	found := compare(s.object(), &info.Config, &s.want, consumerFields)
	if info.Paused {
		found = append(found, Difference{
			Object: s.object(), Field: fieldPause, Want: "none", Found: pausedUntil(info), Harm: true, Fixable: true,
			How: problem.Text{En: "it delivers nothing until then; carrier nats apply resumes it", Zh: "在此之前不投递任何消息；carrier nats apply 会恢复"},
		})
	}
	return found
}

// isMissing tells whether the object has to be made.
func isMissing(differences []Difference) bool {
	return len(differences) == 1 && differences[0].Found == missing
}

// pausedUntil says until when a consumer is paused.
func pausedUntil(info *jetstream.ConsumerInfo) string {
	if info.Config.PauseUntil == nil {
		return "set"
	}
	return info.Config.PauseUntil.UTC().Format(time.RFC3339)
}

// fieldPause is the one field that is not set like the others.
const fieldPause = "pause_until"

func (s *consumerStep) apply(ctx context.Context, differences []Difference) error {
	if isMissing(differences) {
		return s.create(ctx)
	}
	info, err := s.info(ctx)
	if err != nil {
		return fmt.Errorf("look at %s: %w", s.object(), explain(err))
	}
	if change(&info.Config, &s.want, differences, consumerFields) {
		if _, err := s.js.UpdateConsumer(ctx, eventsStream, info.Config); err != nil {
			return fmt.Errorf("change %s: %w", s.object(), explain(err))
		}
	}
	if info.Paused {
		if _, err := s.js.ResumeConsumer(ctx, eventsStream, s.want.Name); err != nil {
			return fmt.Errorf("resume %s: %w", s.object(), explain(err))
		}
	}
	return nil
}

// create makes the consumer. It is no mistake if it is there by now.
func (s *consumerStep) create(ctx context.Context) error {
	_, err := s.js.CreateConsumer(ctx, eventsStream, s.want)
	if err == nil || errors.Is(err, jetstream.ErrConsumerExists) {
		return nil
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // What is wrong with the stream is said of the stream.
	}
	return fmt.Errorf("make %s: %w", s.object(), explain(err))
}

// compare lists what differs.
func compare[C any](object string, found, want *C, fields []field[C]) []Difference {
	var all []Difference
	for _, f := range fields {
		d := Difference{Object: object, Field: f.name, Want: f.show(want), Found: f.show(found), Fixable: f.set != nil, How: f.how}
		if f.same != nil && f.same(found, want) || f.same == nil && d.Want == d.Found {
			continue
		}
		d.Harm = f.harm != nil && f.harm(found)
		all = append(all, d)
	}
	return all
}

// change takes the wanted value of each field over that differs and can be changed, and tells whether there was any.
func change[C any](found, want *C, differences []Difference, fields []field[C]) (changed bool) {
	for _, d := range differences {
		for _, f := range fields {
			if f.name == d.Field && f.set != nil {
				f.set(found, want)
				changed = true
			}
		}
	}
	return changed
}
