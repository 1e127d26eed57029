package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"sync"
)

// Kinds of parts.
const (
	kindService = "service" // The whole service.
	kindWebhook = "webhook" // Its webhook, with a store that answers at once.
	kindHandler = "handler" // An Echo handler as one would write it first, without a store.
	kindClient  = "client"  // A bare loop of net/http that pushes.
	kindNATS    = "nats"    // A NATS server with JetStream.
)

// role is what a part is to be: the first line of its standard input. It holds keys, so it never is an argument.
type role struct {
	Kind        string `json:"kind"`
	Folder      string `json:"folder"`      // The store of the service, or of the NATS server.
	Store       string `json:"store"`       // URL of the database that is the service's store instead.
	Upstream    string `json:"upstream"`    // Base URL.
	Concurrency int    `json:"concurrency"` // Pushes in flight.
	APIKey      string `json:"api_key"`
	AdminToken  string `json:"admin_token"`
	NATS        string `json:"nats"`        // URL of the server that the service uses; "": none.
	SyncAlways  bool   `json:"sync_always"` // The NATS server syncs each event before it acknowledges it.
}

// hello is a part's first answer.
type hello struct {
	Events string `json:"events,omitempty"` // host:port
	Admin  string `json:"admin,omitempty"`
	NATS   string `json:"nats,omitempty"` // URL
	Error  string `json:"error,omitempty"`
}

// command is each further line; an answer comes for each.
type command struct {
	// Profile begins a CPU profile into that file; "" ends the one that was begun.
	Profile *string `json:"profile,omitempty"`
	// Heap writes a profile of the memory in use into that file.
	Heap string `json:"heap,omitempty"`
}

// usage is the answer: what the part's process has used so far.
type usage struct {
	CPUSeconds float64 `json:"cpu_seconds"` // Of all its threads, user and system.
	RSS        uint64  `json:"rss"`         // Bytes now; 0: not known on this system.
	PeakRSS    uint64  `json:"peak_rss"`
	Error      string  `json:"error,omitempty"`
}

// runner is a part that is ready and works while run does.
type runner interface {
	hello() hello
	run(ctx context.Context) error
}

// Serve is the other side: it plays the part that is asked for on in, until in ends or ctx does.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var r role
	if err := orders.Decode(&r); err != nil {
		return fmt.Errorf("reading which part to play: %w; this is started by carrier bench only", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	part, err := newRunner(ctx, r)
	if err != nil {
		return errors.Join(err, answers.Encode(hello{Error: err.Error()}))
	}
	if err := answers.Encode(part.hello()); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- part.run(ctx) }()
	go func() {
		defer stop() // Who gave the orders is gone.
		obey(orders, answers)
	}()
	return <-failed
}

func newRunner(ctx context.Context, r role) (runner, error) {
	switch r.Kind {
	case kindService:
		return newService(ctx, r)
	case kindWebhook:
		return newWebhook(ctx, r)
	case kindHandler:
		return newHandler(ctx)
	case kindClient:
		return newClient(r), nil
	case kindNATS:
		return newNATSServer(r)
	}
	return nil, fmt.Errorf("there is no part %q", r.Kind)
}

// obey answers commands until there are no more.
func obey(orders *json.Decoder, answers *json.Encoder) {
	var profile *os.File
	for {
		var c command
		if orders.Decode(&c) != nil {
			return
		}
		u := used()
		var err error
		if c.Profile != nil {
			profile, err = turnProfile(profile, *c.Profile)
		}
		if c.Heap != "" {
			err = errors.Join(err, writeHeap(c.Heap))
		}
		if err != nil {
			u.Error = err.Error()
		}
		if answers.Encode(u) != nil {
			return
		}
	}
}

func writeHeap(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}

// turnProfile ends the profile that is under way, if any, and begins the next one, unless its name is empty.
func turnProfile(now *os.File, next string) (*os.File, error) {
	if now != nil {
		pprof.StopCPUProfile()
		if err := now.Close(); err != nil {
			return nil, err
		}
	}
	if next == "" {
		return nil, nil
	}
	f, err := os.Create(next)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// part is a part at work, as the one who gives the orders sees it.
type part struct {
	hello
	orders  io.Closer
	encode  *json.Encoder
	answers *json.Decoder
	wait    func() error // Until it has ended; only once.
	kill    func() error // As power loss does, where it is a process.

	mu sync.Mutex // One command at a time.
}

// start starts a part: a process made by spawn, or, where that is nil, goroutines of this one.
func start(ctx context.Context, spawn func(context.Context) *exec.Cmd, r role) (*part, error) {
	var p *part
	var err error
	if spawn == nil {
		p = startHere(ctx)
	} else if p, err = startProcess(ctx, spawn); err != nil {
		return nil, fmt.Errorf("starting the process to be measured: %w", err)
	}
	if err := p.greet(r); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the %s: %w", r.Kind, err), p.stop())
	}
	return p, nil
}

func (p *part) greet(r role) error {
	if err := p.encode.Encode(r); err != nil {
		return err
	}
	if err := p.answers.Decode(&p.hello); err != nil {
		return err
	}
	if p.hello.Error != "" {
		return errors.New(p.hello.Error)
	}
	return nil
}

func startProcess(ctx context.Context, spawn func(context.Context) *exec.Cmd) (*part, error) {
	cmd := spawn(ctx)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &part{
		orders: in, encode: json.NewEncoder(in), answers: json.NewDecoder(out), wait: cmd.Wait,
		kill: func() error {
			if err := cmd.Process.Kill(); err != nil {
				return err
			}
			_ = cmd.Wait() // It says that the process was killed.
			return nil
		},
	}, nil
}

func startHere(ctx context.Context) *part {
	ordersOut, ordersIn := io.Pipe()
	answersOut, answersIn := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := Serve(ctx, ordersOut, answersIn)
		done <- err
		_ = answersIn.CloseWithError(io.EOF) // It never fails.
	}()
	p := &part{
		orders: ordersIn, encode: json.NewEncoder(ordersIn), answers: json.NewDecoder(answersOut),
		wait: func() error { return <-done },
	}
	p.kill = p.stop
	return p
}

// stop ends the part in order and waits for that.
func (p *part) stop() error {
	return errors.Join(p.orders.Close(), p.wait())
}

// usage asks what the part has used.
func (p *part) usage() (usage, error) { return p.command(command{}) }

// profile begins a CPU profile of the part, or ends it.
func (p *part) profile(file string) error {
	_, err := p.command(command{Profile: &file})
	return err
}

// heap writes a profile of the part's memory.
func (p *part) heap(file string) error {
	_, err := p.command(command{Heap: file})
	return err
}

func (p *part) command(c command) (u usage, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err = p.encode.Encode(c)
	if err == nil {
		err = p.answers.Decode(&u)
	}
	if err == nil && u.Error != "" {
		err = errors.New(u.Error)
	}
	if err != nil {
		return u, fmt.Errorf("asking the process that is measured: %w", err)
	}
	return u, nil
}
