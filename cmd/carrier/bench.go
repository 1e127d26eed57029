package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"carrier/internal/bench"
)

type benchCommand struct {
	Only    []string      `enum:"single,batch,nats,push,pipe,latency,replay,backlog,nodes" placeholder:"NAME" help:"Measure only that: ${enum}."`
	Rounds  int           `default:"3" help:"How often each is measured, in turn with its ceiling; the median counts (${default})."`
	For     time.Duration `default:"5s" help:"How long each takes (${default})."`
	Pending int           `default:"1000000" help:"Pushes left pending when memory is measured (${default})."`
	Dir     string        `placeholder:"FOLDER" help:"Where the stores are made and deleted again; choose the disk that the service will use. Default: the system's folder for temporary files."`
	Store   string        `placeholder:"URL" help:"PostgreSQL for nodes, postgres://USER:PASSWORD@HOST:5432/DATABASE; databases of its own are made and removed. Default: one is started, where PostgreSQL is installed."`
	JSON    bool          `help:"Print JSON for machines."`
	Profile string        `placeholder:"FOLDER" help:"Write profiles of what is measured, for go tool pprof."`
	Part    bool          `hidden:"" help:"Be the process that is measured; standard input says which."`
}

func (b *benchCommand) Run(ctx context.Context, w *world) error {
	if b.Part {
		return bench.Serve(ctx, w.stdin, w.stdout)
	}
	if b.Rounds < 1 || b.For <= 0 || b.Pending < 1 {
		return usageError{errors.New("--rounds and --pending must be at least 1, and --for above 0")}
	}
	if b.Dir != "" {
		if _, err := os.Stat(b.Dir); err != nil {
			return usageError{fmt.Errorf("--dir: %w; give a folder that is there", err)}
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program, to run it as the process that is measured: %w", err)
	}
	if b.Profile != "" {
		if err := os.MkdirAll(b.Profile, 0o755); err != nil {
			return usageError{err}
		}
	}
	report, err := bench.Run(ctx, bench.Options{
		Spawn: func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, self, "bench", "--part") },
		Dir:   b.Dir, Store: b.Store, Only: b.Only, Rounds: b.Rounds, For: b.For, Pending: b.Pending, Profile: b.Profile,
		Say: func(line string) { fmt.Fprintln(w.stderr, line) },
	})
	if report == nil {
		return err
	}
	return errors.Join(err, b.print(w, report))
}

func (b *benchCommand) print(w *world, r *bench.Report) error {
	if b.JSON {
		return r.WriteJSON(w.stdout)
	}
	return r.WriteTable(w.stdout)
}
