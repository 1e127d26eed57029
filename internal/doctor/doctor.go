// Package doctor looks a set-up over: each check says what it found, and what to do where that is not well.
//
// A check changes nothing and disturbs nobody: it makes no stream, takes no lock of the store, and asks WeChat for an
// access_token only if it is told to (Options.Online), the way that leaves the one in use valid.
package doctor

import (
	"context"
	"fmt"
	"time"

	"carrier/internal/bus"
	"carrier/internal/config"
	"carrier/internal/problem"
)

// Level is how bad a finding is.
type Level string

const (
	OK   Level = "ok"   // As it should be.
	Warn Level = "warn" // It works, but deserves a look; or it could not be told.
	Fail Level = "fail" // Something does not work, or what was acknowledged could be lost.
)

// Finding is what a check found.
type Finding struct {
	Check  string // Which check: a word that programs can go by.
	Level  Level
	About  string       // What it is about: an address, a folder, a key of the configuration.
	Text   problem.Text // What was found.
	Advice problem.Text // What to do about it; empty if nothing is to be done.
}

// Options say what to look at.
type Options struct {
	Config *config.Config // One that Check accepts.
	NATS   bus.Options    // Of Config; only if NATS is on.
	// Monitors are monitoring endpoints of NATS servers, such as http://127.0.0.1:8222: what a server does to make
	// messages durable it tells nowhere else.
	Monitors []string
	// CallbackURL is where WeChat reaches the service, such as https://wx.example.com; empty: that is not tried.
	CallbackURL string
	Online      bool          // Whether access_tokens may be asked for.
	Timeout     time.Duration // Of each single look; 0: 5 s.
}

// Run makes every check that the configuration has a use for, in an order that puts causes before what follows of them.
// found hears of each finding as soon as it is there. When ctx ends, what is left is not looked at.
func Run(ctx context.Context, o Options, found func(Finding)) {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	d := &doctor{o: &o, found: found}
	for _, check := range []struct {
		name string
		look func(*doctor, context.Context)
	}{
		{"config", (*doctor).warnings},
		{"files", (*doctor).files},
		{"machine", (*doctor).machine},
		{"store", (*doctor).store},
		{"postgres", (*doctor).database},
		{"sync", (*doctor).syncs},
		{"listen", (*doctor).listeners},
		{"service", (*doctor).service},
		{"upstream", (*doctor).upstreams},
		{"token", (*doctor).tokens},
		{"callback", (*doctor).callbacks},
		{"nats", (*doctor).nats},
	} {
		if ctx.Err() != nil {
			return
		}
		d.check = check.name
		check.look(d, ctx)
	}
}

// doctor is one run.
type doctor struct {
	o     *Options
	found func(Finding)
	check string // The one under way.
}

// text is a text without values in both languages.
func text(en, zh string) problem.Text { return problem.Text{En: en, Zh: zh} }

// plain is a text that is the same in both languages, such as an error of the operating system's.
func plain(err error) problem.Text { return text(err.Error(), err.Error()) }

func (d *doctor) ok(about string, found problem.Text) {
	d.found(Finding{Check: d.check, Level: OK, About: about, Text: found})
}

func (d *doctor) warn(about string, found, advice problem.Text) {
	d.found(Finding{Check: d.check, Level: Warn, About: about, Text: found, Advice: advice})
}

func (d *doctor) fail(about string, found, advice problem.Text) {
	d.found(Finding{Check: d.check, Level: Fail, About: about, Text: found, Advice: advice})
}

// look bounds one look at something that may hang.
func (d *doctor) look(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d.o.Timeout, fmt.Errorf("no answer within %s", d.o.Timeout))
}

// warnings says what the configuration itself makes one wonder about.
func (d *doctor) warnings(context.Context) {
	c := d.o.Config
	d.ok("", problem.Textf("%d {1:account|accounts}, %d {2:source|sources}, %d admin {3:token|tokens}", "%d 个账户，%d 个来源，%d 个管理令牌",
		len(c.Accounts), len(c.Sources), len(c.Admin.Tokens)))
	for _, w := range c.SettingWarnings() {
		d.warn("", text(w, w), problem.Text{})
	}
}
