package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"carrier/internal/app"
	"carrier/internal/doctor"
	"carrier/internal/problem"
)

type doctorCommand struct {
	configFlag
	NATSMonitor []string      `name:"nats-monitor" placeholder:"URL" help:"Monitoring endpoint of a NATS server, such as http://127.0.0.1:8222, to see whether it syncs what it acknowledges; may be given several times."`
	CallbackURL string        `name:"callback-url" placeholder:"URL" help:"Where WeChat reaches the service, such as https://wx.example.com: has it answer the signed check that WeChat makes."`
	Online      bool          `help:"Also ask WeChat for each account's and each merchant's access_token (the one in use stays valid)."`
	Timeout     time.Duration `default:"5s" help:"Of each single look (${default})."`
	JSON        bool          `name:"json" help:"Print the findings as JSON."`
}

func (d *doctorCommand) Run(ctx context.Context, w *world) error {
	if d.Timeout <= 0 {
		return usageError{errors.New("--timeout must be above 0s")}
	}
	seen := &examination{screen: newScreen(w), json: d.JSON, counts: map[doctor.Level]int{}}
	c, err := d.load(w)
	if err != nil {
		seen.misconfigured(err)
	} else {
		doctor.Run(ctx, doctor.Options{
			Config: c, NATS: app.NATSOptions(c, version().Version), Monitors: d.NATSMonitor, CallbackURL: d.CallbackURL, Online: d.Online, Timeout: d.Timeout,
		}, seen.add)
	}
	if ctx.Err() != nil {
		seen.failed = errors.Join(seen.failed, errors.New("interrupted; not everything was looked at"))
	}
	return seen.end()
}

// examination shows findings: each as it comes or, as JSON, all at the end.
type examination struct {
	*screen
	json   bool
	list   []finding
	counts map[doctor.Level]int
	failed error
}

// finding is a doctor.Finding as JSON, in the user's language.
type finding struct {
	Check  string       `json:"check"`
	Level  doctor.Level `json:"level"`
	About  string       `json:"about,omitempty"`
	Text   string       `json:"text"`
	Advice string       `json:"advice,omitempty"`
}

// misconfigured makes a finding of each line of a configuration's error. With any, nothing else can be looked at.
func (e *examination) misconfigured(err error) {
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimRight(line, "\n")
		e.add(doctor.Finding{Check: "config", Level: doctor.Fail, Text: problem.Text{En: line, Zh: line}})
	}
	e.failed = errors.New("the configuration can't be used, so nothing else was looked at; correct it and run this again")
}

func (e *examination) add(f doctor.Finding) {
	lang := problem.English
	if e.zh {
		lang = problem.Chinese
	}
	e.counts[f.Level]++
	shown := finding{f.Check, f.Level, f.About, f.Text.In(lang), f.Advice.In(lang)}
	if e.json {
		e.list = append(e.list, shown)
		return
	}
	e.failed = errors.Join(e.failed, e.line(e.sentence(&shown)))
}

// sentence is a finding on one line: level, check, and what there is to say.
func (e *examination) sentence(f *finding) string {
	said := f.Text
	if f.About != "" {
		said = f.About + e.say(": ", "：") + said
	}
	if f.Advice != "" {
		said += e.say("; ", "；") + f.Advice
	}
	return fmt.Sprintf("%-4s  %-12s  %s", f.Level, f.Check, said)
}

// end is the command's outcome.
func (e *examination) end() error {
	err := e.failed
	if e.json {
		err = errors.Join(err, encodeJSON(e.w, struct {
			Findings []finding            `json:"findings"`
			Counts   map[doctor.Level]int `json:"counts"`
		}{e.list, e.counts}))
	}
	if n := e.counts[doctor.Fail]; n > 0 && err == nil {
		err = fmt.Errorf("findings marked fail: %d; do what their lines say and run this again", n)
	}
	return err
}
