package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// healthCommand is for containers and service managers, which have no curl: it asks a running service how it is, and
// its exit status is the answer. It reads no configuration unless one is named, so that a file that is being edited
// makes no healthy service look ill.
type healthCommand struct {
	AdminURL string        `placeholder:"URL" help:"The admin listener; default CARRIER_ADMIN_URL, else from the configuration."`
	Config   string        `name:"config" short:"c" placeholder:"FILE" help:"Take the address from this configuration."`
	Live     bool          `help:"Only whether the process lives: also healthy while it can take no events, as a restart would not help."`
	Timeout  time.Duration `default:"5s" help:"How long to wait for the answer (${default})."`
}

// maxHealthBytes bounds an answer.
const maxHealthBytes = 1 << 20

func (h *healthCommand) Run(ctx context.Context, w *world) error {
	if h.Timeout <= 0 {
		return usageError{errors.New("--timeout must be above 0s")}
	}
	ask := asking{adminFlags: adminFlags{AdminURL: h.AdminURL}, Config: h.Config}
	address, err := ask.address(w)
	if err != nil {
		return err
	}
	path := "/readyz"
	if h.Live {
		path = "/livez"
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("no answer within %v", h.Timeout))
	defer cancel()
	said, err := askHealth(ctx, address+path)
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	_, err = fmt.Fprintln(w.stdout, said)
	return err
}

// askHealth returns what a health address says; it is an error unless that is good.
func askHealth(ctx context.Context, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", usageError{err}
	}
	// The service is this machine's, or its neighbour: a proxy of the environment is not on the way.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return "", fmt.Errorf("%w; is the service running there?", err)
	}
	defer func() { _ = resp.Body.Close() }() // It was only read.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealthBytes))
	if err != nil {
		return "", err
	}
	said, known := healthInWords(body)
	switch {
	case !known:
		return "", fmt.Errorf("what answers there is not the service (status %d); is this its admin address?", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return "", errors.New(said)
	}
	return said, nil
}

// healthInWords is the answer of /livez or /readyz on one line.
func healthInWords(body []byte) (said string, known bool) {
	if string(body) == "ok\n" {
		return "ok", true
	}
	var health struct {
		Status, Reason string
		Degraded       []string
	}
	if json.Unmarshal(body, &health) != nil || health.Status == "" {
		return "", false
	}
	parts := []string{health.Status}
	if health.Reason != "" {
		parts = append(parts, health.Reason)
	}
	return visible(strings.Join(append(parts, health.Degraded...), "; ")), true
}
