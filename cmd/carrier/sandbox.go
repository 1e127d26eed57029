package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"carrier/internal/sandbox"
	"carrier/internal/telemetry"
)

type sandboxCommand struct {
	Listen    string            `default:"127.0.0.1:8090" placeholder:"ADDR" help:"host:port to listen on (${default})."`
	Open      bool              `help:"Take pushes of waybills that no order made known, with any Token."`
	Seed      uint64            `help:"Makes faults repeatable; 0: another seed each time."`
	TokenLife time.Duration     `default:"2h" help:"How long an access_token lives (${default})."`
	Carrier   map[string]string `mapsep:"none" placeholder:"ID=URL" help:"Push order events to this callback. The rest from the environment: CARRIER_SANDBOX_ID_TOKEN, _ENCODING_AES_KEY, _PREVIOUS_ENCODING_AES_KEY, _APPID, _FORMAT (xml, json), _MODE (plain, compat, safe)."`
	Carriers  string            `type:"path" placeholder:"FILE" help:"The same as a JSON array, with the fields that the sandbox's page lists."`
	LogLevel  string            `default:"info" enum:"debug,info,warn,error" help:"debug shows each push."`
}

func (s *sandboxCommand) Run(ctx context.Context, w *world) error {
	log := telemetry.NewLogger(w.stderr, s.LogLevel, "text")
	if s.TokenLife < time.Second {
		return usageError{errors.New("--token-life must be at least 1s")}
	}
	carriers, err := s.carriers(w)
	if err != nil {
		return usageError{err}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return usageError{fmt.Errorf("--listen: %w; choose another address", err)}
	}
	box := sandbox.New(sandbox.Options{Open: s.Open, Seed: s.Seed, TokenLife: s.TokenLife, Carriers: carriers, Logger: log})
	log.Info("the sandbox is up; its page says what can be tried", "url", "http://"+l.Addr().String()+"/")
	return serveHTTP(ctx, l, box)
}

// serveHTTP serves until ctx ends, and then until the requests under way are answered.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 90 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends requests that hang on purpose
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		return srv.Close()
	}
	return nil
}
