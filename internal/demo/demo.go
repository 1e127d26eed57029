// Package demo runs the whole product without any set-up: the upstream simulator, the service on a temporary store with
// a NATS server inside, and sample traffic that goes the whole way: a merchant orders at WeChat, WeChat asks the service,
// which asks the courier's dispatch system over NATS, and brings the waybill's Token; scans come in over HTTP and NATS
// (some before their Token, some late, some twice, some in bulk), they are pushed, the dispatch system hears of it, and
// the trace is read back, as the merchant may, and compared. Some orders are cancelled, in time and too late.
//
//	merchant.go  orders and cancels at the simulator         traffic.go, story.go  what is ordered and scanned
//	dispatch.go  the courier's dispatch system, on NATS       check.go, trace.go    what became of it
package demo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
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
	"carrier/internal/durations"
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
	Listen, AdminListen, SandboxListen, NATSListen string
}

// demo is one run.
type demo struct {
	o        Options
	box      *sandbox.Sandbox
	boxURL   string
	app      *app.App
	client   client
	merchant *merchant
	dispatch *dispatch
	traffic  *traffic

	playground string // The waybill that the printed lines are about, and its order.
	playOrder  string
	unlucky    []string // Waybills whose first push fails, for the lines that replay it.
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

	upstream, err := listen(ctx, d.o.SandboxListen)
	if err != nil {
		return err
	}
	d.boxURL = "http://" + upstream.Addr().String()
	c := d.config(dir)
	a, err := d.newApp(ctx, c)
	if err != nil {
		return errors.Join(err, upstream.Close())
	}
	d.app = a
	d.box = d.newSandbox(&c.Accounts[0])
	serve(serving, &g, upstream, d.box)
	appDone := make(chan error, 1)
	g.Go(func() error { appDone <- a.Run(serving); return nil })

	d.dispatch = newDispatch()
	defer d.dispatch.close()
	if err := d.dispatch.connect(a.NATSURL()); err != nil {
		return errors.Join(err, stopApp(stop, appDone))
	}
	d.client = newClient(a, c)
	d.merchant = newMerchant(d.boxURL, c.Merchants[0].Secret.Reveal())
	defer d.merchant.http.CloseIdleConnections()
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

func (d *demo) newApp(ctx context.Context, c *config.Config) (*app.App, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return app.New(ctx, app.Options{Config: c, Log: d.o.Log, Version: d.o.Version})
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
func (d *demo) prepare(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // A service that takes no orders is not worth a demo.
	defer cancel()
	var f sandbox.Faults
	if d.o.Faults {
		f = demoFaults
	}
	if err := d.box.SetFaults(f); err != nil {
		return err
	}
	d.playOrder = "DEMO-PLAY"
	if d.playground, err = d.traffic.order(ctx, d.playOrder); err != nil {
		return err
	}
	f.Waybills = map[string]sandbox.WaybillFault{}
	for n := range unluckyWaybills {
		waybill, err := d.traffic.order(ctx, fmt.Sprintf("DEMO-UNLUCKY-%d", n+1))
		if err != nil {
			return err
		}
		d.unlucky = append(d.unlucky, waybill)
		f.Waybills[waybill] = sandbox.WaybillFault{Errcode: unknownWaybill, Times: config.Default().Push.TokenRetries}
	}
	if err := d.box.SetFaults(f); err != nil {
		return err
	}
	for _, waybill := range d.unlucky {
		if _, err := d.client.send(ctx, &tell(waybill)[0]); err != nil {
			return err
		}
	}
	return nil
}

// unluckyWaybills is how many pushes fail for the printed lines.
const unluckyWaybills = 3

// unknownWaybill is what upstream answers of a waybill that it was not told of yet (updatePath).
const unknownWaybill = 40199

// demoFaults are what a bad day at upstream looks like, beside access_tokens that die (endTokens).
var demoFaults = sandbox.Faults{
	Trouble: sandbox.Trouble{
		Busy: 0.10, Latency: sandbox.Duration(20 * time.Millisecond), Jitter: sandbox.Duration(60 * time.Millisecond),
		Resets: 0.01,
	},
	Callback: sandbox.CallbackFaults{
		Delay: sandbox.Duration(20 * time.Millisecond), Repeats: 0.2, ConcurrentRepeats: 0.1, SameQuery: 0.3, DropAnswer: 0.1,
		WrongSignature: 0.05, PlainInSafe: 0.05,
	},
}

// endTokens ends all access_tokens soon, and then now and again. More often would look like another program that
// fetches them for the same appid, and the account would wait to let it.
func (d *demo) endTokens(ctx context.Context) {
	for wait := 2 * time.Second; durations.Wait(ctx, wait) == nil; wait = 90 * time.Second {
		f := d.box.Faults() // The user may have set others.
		f.ExpireNow = true
		_ = d.box.SetFaults(f)
	}
}

// newSandbox makes a WeChat that knows the account's message push settings: XML in safe mode, as in the console.
func (d *demo) newSandbox(a *config.Account) *sandbox.Sandbox {
	return sandbox.New(sandbox.Options{
		Logger: d.o.Log.With("part", "sandbox"),
		Carriers: []sandbox.Carrier{{
			DeliveryID: a.DeliveryID, AppID: a.AppID, URL: "http://" + d.app.Addr() + "/wechat/" + a.DeliveryID + "/callback",
			Token: a.Callback.Token.Reveal(), EncodingAESKey: a.Callback.EncodingAESKey.Reveal(),
		}},
	})
}

// serve serves h until ctx ends.
func serve(ctx context.Context, g *errgroup.Group, l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	g.Go(func() error { return srv.Serve(l) })
	context.AfterFunc(ctx, func() { _ = srv.Close() })
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
	c.NATS.URL = config.NATSEmbeddedURL
	c.NATS.Embedded = config.NATSEmbedded{Listen: free(d.o.NATSListen), StoreDir: filepath.Join(dir, "nats")}
	c.State.ReorderWindow = config.Duration(3 * time.Second)
	c.Push.Retry.Initial = config.Duration(100 * time.Millisecond)
	c.Push.Retry.Max = config.Duration(2 * time.Second)
	c.Push.Breaker.OpenFor = config.Duration(2 * time.Second)
	account := config.DefaultAccount()
	account.DeliveryID, account.AppID, account.Secret = DeliveryID, "wx0000000000000000", config.Secret(secret())
	account.BaseURL, account.FallbackBaseURL = d.boxURL, ""
	account.Timeout = config.Duration(5 * time.Second)
	account.Callback = config.Callback{Token: config.Secret(rand.Text()), EncodingAESKey: config.Secret(encodingAESKey())}
	c.Accounts = []config.Account{account}
	c.Merchants = []config.Merchant{{
		Name: bizID, AppID: merchantAppID, Secret: config.Secret(secret()), BaseURL: d.boxURL, TokenMode: config.TokenStable,
	}}
	c.Verify = config.Verify{
		Share: 1, Rate: 100, PerDay: 1_000_000, After: config.Duration(5 * time.Second),
		Delay: config.Duration(time.Millisecond), // The simulator shows at once what it takes.
	}
	c.Sources = []config.Source{
		{Name: "demo", APIKey: config.Secret(secret())},
		{Name: "signed", SigningSecret: config.Secret(signingSecret())}, // Of no traffic's: for who tries how to sign.
	}
	c.Admin.Tokens = []config.AdminToken{{Name: "demo", Token: config.Secret(secret()), Role: config.RoleOperator}}
	return c
}

// secret is 128 bits that nobody can guess, twice: demo has no default credentials.
func secret() string { return rand.Text() + rand.Text() }

// signingSecret is one as Standard Webhooks wants it: whsec_ and base64 of 24 to 64 bytes.
func signingSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // It never fails.
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// encodingAESKey is a key as WeChat's console makes it: 43 characters of base64.
func encodingAESKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // It never fails.
	return base64.RawStdEncoding.EncodeToString(key)
}
