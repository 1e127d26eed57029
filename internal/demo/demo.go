// Package demo runs the whole product without any set-up: the upstream simulator, the service on a temporary store,
// and sample traffic that goes the whole way: an order makes a waybill and its Token known, scans come in (some late,
// some twice, some in bulk), they are pushed, and the trace is read back and compared.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"carrier/internal/app"
	"carrier/internal/config"
	"carrier/internal/sandbox"
)

// DeliveryID is the account that the demo pushes for.
const DeliveryID = "SF"

// Options sets up a demo.
type Options struct {
	For     time.Duration // Ends by itself after that; 0: when ctx ends.
	Faults  bool          // Upstream is busy, slow, and lets access_tokens die.
	Rate    int           // Waybills a second.
	Out     io.Writer     // What the user reads.
	Log     *slog.Logger
	Version string
	Command string // How the user calls this program, in the lines to try.
	// Listen and AdminListen are where the service listens; a port that is taken is replaced by a free one.
	Listen, AdminListen, SandboxListen string
}

// demo is one run.
type demo struct {
	o       Options
	box     *sandbox.Sandbox
	boxURL  string
	app     *app.App
	client  client
	traffic *traffic
}

// Run runs a demo. The error says what was lost or out of order, or why it could not run.
func Run(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "carrier-demo-")
	if err != nil {
		return fmt.Errorf("making a temporary store: %w", err)
	}
	d := &demo{o: o}
	return errors.Join(d.run(ctx, dir), os.RemoveAll(dir))
}

func (d *demo) run(ctx context.Context, dir string) error {
	var g errgroup.Group
	defer func() { _ = g.Wait() }()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()

	if err := d.startSandbox(serving, &g); err != nil {
		return err
	}
	c := d.config(dir)
	if err := c.Check(); err != nil {
		return err
	}
	a, err := app.New(ctx, app.Options{Config: c, Log: d.o.Log, Version: d.o.Version})
	if err != nil {
		return err
	}
	d.app = a
	appDone := make(chan error, 1)
	g.Go(func() error { appDone <- a.Run(serving); return nil })

	d.client = newClient(a, c)
	d.traffic = newTraffic(d)
	if err := d.prepare(ctx); err != nil {
		return errors.Join(err, stopApp(stop, appDone))
	}
	d.printLines()
	if err := d.play(ctx, appDone); err != nil {
		return errors.Join(err, stopApp(stop, appDone)) // The service is gone, or never saw traffic: nothing to check.
	}
	sum := d.settleAndCheck(serving)
	sum.print(d.o.Out)
	return errors.Join(sum.err(), stopApp(stop, appDone))
}

func stopApp(stop context.CancelFunc, done chan error) error {
	stop()
	return <-done
}

// play makes traffic until the demo's time is over.
func (d *demo) play(ctx context.Context, appDone chan error) error {
	if d.o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.o.For)
		defer cancel()
	}
	var g errgroup.Group
	defer func() { _ = g.Wait() }()
	if d.o.Faults {
		g.Go(func() error { d.endTokens(ctx); return nil })
	}
	return d.traffic.run(ctx, appDone)
}

// prepare sets up what the printed lines are about: a waybill to play with, and a few with a push that fails.
func (d *demo) prepare(ctx context.Context) error {
	var f sandbox.Faults
	if d.o.Faults {
		f = demoFaults
	}
	f.Waybills = map[string]sandbox.WaybillFault{}
	for _, waybill := range unlucky {
		f.Waybills[waybill] = sandbox.WaybillFault{Errcode: unknownWaybill, Times: config.Default().Push.TokenRetries}
	}
	if err := d.box.SetFaults(f); err != nil {
		return err
	}
	if err := d.traffic.order(ctx, playground); err != nil {
		return err
	}
	for _, waybill := range unlucky {
		if err := d.traffic.order(ctx, waybill); err != nil {
			return err
		}
		if _, err := d.client.send(ctx, &tell(waybill)[0]); err != nil {
			return err
		}
	}
	return nil
}

// unlucky are waybills whose first push fails, for the lines that replay it.
var unlucky = []string{"12345678901234567891", "12345678901234567892", "12345678901234567893"}

// unknownWaybill is what upstream answers of a waybill that it was not told of yet (updatePath).
const unknownWaybill = 40199

// demoFaults are what a bad day at upstream looks like, beside access_tokens that die (endTokens).
var demoFaults = sandbox.Faults{
	Trouble: sandbox.Trouble{
		Busy: 0.10, Latency: sandbox.Duration(20 * time.Millisecond), Jitter: sandbox.Duration(60 * time.Millisecond),
		Resets: 0.01,
	},
}

// endTokens ends all access_tokens soon, and then now and again. More often would look like another program that
// fetches them for the same appid, and the account would wait to let it.
func (d *demo) endTokens(ctx context.Context) {
	for wait := 2 * time.Second; sleep(ctx, wait); wait = 90 * time.Second {
		f := d.box.Faults() // The user may have set others.
		f.ExpireNow = true
		_ = d.box.SetFaults(f)
	}
}

func (d *demo) startSandbox(ctx context.Context, g *errgroup.Group) error {
	l, err := listen(ctx, d.o.SandboxListen)
	if err != nil {
		return err
	}
	d.box = sandbox.New(sandbox.Options{Logger: d.o.Log.With("part", "sandbox")})
	d.boxURL = "http://" + l.Addr().String()
	srv := &http.Server{Handler: d.box, ReadHeaderTimeout: 5 * time.Second}
	g.Go(func() error { return srv.Serve(l) })
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	return nil
}

// listen takes addr, or any free port of the same host if it is taken.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err == nil {
		return l, nil
	}
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		return nil, err
	}
	return lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
}

// free returns addr, or an address with port 0 if it is taken.
func free(addr string) string {
	l, err := listen(context.Background(), addr)
	if err != nil {
		return addr
	}
	defer func() { _ = l.Close() }()
	if l.Addr().String() == addr {
		return addr
	}
	host, _, _ := net.SplitHostPort(addr)
	return net.JoinHostPort(host, "0")
}

// config is a configuration for one account on the sandbox, with short waits so that one sees what happens.
func (d *demo) config(dir string) *config.Config {
	c := config.Default()
	c.Server.Listen, c.Server.AdminListen = free(d.o.Listen), free(d.o.AdminListen)
	c.Store.URL = config.DSN("file:" + filepath.Join(dir, "store"))
	c.Store.MinFree = 0
	c.State.ReorderWindow = config.Duration(3 * time.Second)
	c.Push.Retry.Initial = config.Duration(100 * time.Millisecond)
	c.Push.Retry.Max = config.Duration(2 * time.Second)
	c.Push.Breaker.OpenFor = config.Duration(2 * time.Second)
	account := config.DefaultAccount()
	account.DeliveryID, account.AppID, account.Secret = DeliveryID, "wx0000000000000000", config.Secret(secret())
	account.BaseURL, account.FallbackBaseURL = d.boxURL, ""
	account.Timeout = config.Duration(5 * time.Second)
	c.Accounts = []config.Account{account}
	c.Sources = []config.Source{{Name: "demo", APIKey: config.Secret(secret())}}
	c.Admin.Tokens = []config.AdminToken{{Name: "demo", Token: config.Secret(secret()), Role: config.RoleOperator}}
	return c
}

// secret is 128 bits that nobody can guess, twice: demo has no default credentials.
func secret() string { return rand.Text() + rand.Text() }
