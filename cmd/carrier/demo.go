package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"carrier/internal/demo"
	"carrier/internal/telemetry"
)

type demoCommand struct {
	For           time.Duration `placeholder:"DURATION" help:"End by itself, with a summary; exit 1 if anything was lost, out of order, or wrong about an order."`
	Faults        bool          `help:"Upstream is busy at a tenth of the pushes, slow, lets access_tokens die, repeats order events and loses their answers."`
	Rate          int           `default:"10" help:"Waybills a second (${default})."`
	Listen        string        `default:"127.0.0.1:8080" help:"Where events are taken; a free port if it is taken."`
	AdminListen   string        `default:"127.0.0.1:8081" help:"Where the admin API is; a free port if it is taken."`
	SandboxListen string        `default:"127.0.0.1:8090" help:"Where the upstream simulator is; a free port if it is taken."`
	NATSListen    string        `name:"nats-listen" default:"127.0.0.1:4222" help:"Where the NATS server is; a free port if it is taken."`
	LogLevel      string        `default:"error" enum:"debug,info,warn,error" help:"debug shows every push."`
}

func (d *demoCommand) Run(ctx context.Context, w *world) error {
	if d.For < 0 || d.Rate < 1 || d.Rate > 1000 {
		return usageError{errors.New("--for must not be negative, and --rate must be 1 to 1000")}
	}
	return demo.Run(ctx, demo.Options{
		For: d.For, Faults: d.Faults, Rate: d.Rate, Out: w.stdout,
		Log: telemetry.NewLogger(w.stderr, d.LogLevel, "text"), Version: version().Version, Command: calledAs(),
		Listen: d.Listen, AdminListen: d.AdminListen, SandboxListen: d.SandboxListen, NATSListen: d.NATSListen,
	})
}

// calledAs is how the user called this program. What "go run" built is gone when it ends, so that is called again.
func calledAs() string {
	if strings.Contains(filepath.ToSlash(os.Args[0]), "/go-build") {
		return "go run ./cmd/carrier"
	}
	return os.Args[0]
}
