package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/app"
	"carrier/internal/bus"
)

type natsCommand struct {
	Plan  natsPlan  `cmd:"" help:"Show how streams and consumer differ from what the service wants; changes nothing. 查看流与消费者的差异"`
	Apply natsApply `cmd:"" help:"Make streams and consumer what the service wants, as far as that goes. 修正流与消费者"`
}

// natsFlags are what both commands share.
type natsFlags struct {
	configFlag
	JSON bool `name:"json" help:"Print the differences as JSON."`
}

// natsSession is a connection as the service has it, and what is wanted there.
type natsSession struct {
	*screen
	o  bus.Options
	js jetstream.JetStream
}

// with connects as the service does, and runs f.
func (f *natsFlags) with(ctx context.Context, w *world, run func(*natsSession) error) error {
	c, err := f.load(w)
	if err != nil {
		return err
	}
	if !c.NATS.On() {
		return usageError{errors.New("nats.url is empty, so the service uses no NATS; set it, or give the service's own configuration with -c")}
	}
	o := app.NATSOptions(c, version().Version)
	nc, err := bus.Connect(ctx, o)
	if err != nil && c.NATS.IsEmbedded() {
		return fmt.Errorf("%w; the embedded server runs with the service, so start that first", err)
	}
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	return run(&natsSession{screen: newScreen(w), o: o, js: js})
}

type natsPlan struct {
	natsFlags
	Check bool `help:"Exit with status 1 if anything differs."`
}

func (p *natsPlan) Run(ctx context.Context, w *world) error {
	return p.with(ctx, w, func(s *natsSession) error {
		differences, err := bus.Plan(ctx, s.js, s.o)
		if err != nil {
			return err
		}
		if p.JSON {
			err = encodeJSON(w.stdout, struct {
				Differences []difference `json:"differences"`
			}{wire(differences)})
		} else {
			err = s.show(differences)
		}
		if err == nil && p.Check && len(differences) > 0 {
			err = fmt.Errorf("differences: %d; carrier nats apply makes it so, as far as that goes", len(differences))
		}
		return err
	})
}

type natsApply struct {
	natsFlags
}

func (a *natsApply) Run(ctx context.Context, w *world) error {
	return a.with(ctx, w, func(s *natsSession) error {
		done, left, failed := s.apply(ctx)
		if failed != nil && len(left) == 0 {
			return failed
		}
		var err error
		if a.JSON {
			err = encodeJSON(w.stdout, struct {
				Changed []difference `json:"changed"`
				Left    []difference `json:"left"`
			}{wire(done), wire(left)})
		} else {
			err = s.showApplied(done, left)
		}
		return errors.Join(err, failed, harmful(left))
	})
}

// apply makes it so, and tells what of the differences is done and what is left. With an error and nothing left, what is
// so now could not be looked at.
func (s *natsSession) apply(ctx context.Context) (done, left []bus.Difference, err error) {
	before, err := bus.Plan(ctx, s.js, s.o)
	if err != nil {
		return nil, nil, err
	}
	left, err = bus.Apply(ctx, s.js, s.o)
	done = slices.DeleteFunc(before, func(d bus.Difference) bool {
		return slices.ContainsFunc(left, func(l bus.Difference) bool { return l.Object == d.Object && l.Field == d.Field })
	})
	return done, left, err
}

// harmful is the error for differences with which intake or outcomes don't work.
func harmful(left []bus.Difference) error {
	n := 0
	for _, d := range left {
		if d.Harm {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("left, and such that the service can't work: %d; do what their lines say", n)
}

// show lists differences, the harmful ones first.
func (s *natsSession) show(differences []bus.Difference) error {
	if len(differences) == 0 {
		return s.line(s.say("nothing differs: streams and consumer are as wanted", "没有差异：流与消费者符合要求"))
	}
	t := s.table(
		column{head: s.say("object", "对象")}, column{head: s.say("field", "字段")},
		column{head: s.say("wanted", "应为"), text: true}, column{head: s.say("found", "现为"), text: true},
		column{head: s.say("must be", "必须")}, column{head: s.say("apply does it", "可自动修正")},
		column{head: s.say("what it means, and what to do", "说明与处理"), text: true, below: true},
	)
	yesNo := func(yes bool) string {
		if yes {
			return s.say("yes", "是")
		}
		return s.say("no", "否")
	}
	sorted := slices.SortedStableFunc(slices.Values(differences), func(a, b bus.Difference) int { return rank(a) - rank(b) })
	for _, d := range sorted {
		want, found := d.Want, d.Found
		if d.Field == "" {
			want, found = s.say("there", "存在"), s.say("missing", "不存在")
		}
		t.add(d.Object, cmp.Or(d.Field, "-"), want, found, yesNo(d.Harm), yesNo(d.Fixable), s.say(d.How.En, d.How.Zh))
	}
	return t.flush()
}

func rank(d bus.Difference) int {
	if d.Harm {
		return 0
	}
	return 1
}

func (s *natsSession) showApplied(done, left []bus.Difference) error {
	var errs []error
	for _, d := range done {
		said := s.sayf("%s: %s was %s, is now %s", "%s：%s 原为 %s，现为 %s", d.Object, d.Field, d.Found, d.Want)
		if d.Field == "" {
			said = s.sayf("%s: made", "%s：已创建", d.Object)
		}
		errs = append(errs, s.line(said))
	}
	if len(left) > 0 || len(done) == 0 {
		errs = append(errs, s.show(left))
	}
	return errors.Join(errs...)
}

// difference is a bus.Difference as JSON.
type difference struct {
	Object  string `json:"object"`
	Field   string `json:"field"`
	Want    string `json:"want"`
	Found   string `json:"found"`
	Harm    bool   `json:"harm"`
	Fixable bool   `json:"fixable"`
	How     string `json:"how,omitempty"`
}

func wire(differences []bus.Difference) []difference {
	out := make([]difference, len(differences))
	for i, d := range differences {
		out[i] = difference{d.Object, d.Field, d.Want, d.Found, d.Harm, d.Fixable, d.How.En}
	}
	return out
}
