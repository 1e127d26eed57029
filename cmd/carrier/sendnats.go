package main

import (
	"errors"
	"slices"
	"strings"

	"carrier/internal/app"
	"carrier/internal/bus"
	"carrier/internal/config"
)

// overNATS is the connection to send over; nil: HTTP. It is NATS if --nats says so or, without --url, the environment or
// the configuration that was named.
func (s *sendCommand) overNATS(w *world) (*bus.Options, error) {
	if s.URL != "" {
		if s.NATS != "" || s.NATSCreds != "" || s.Config != "" {
			return nil, errors.New("--url is for HTTP, and --nats, --nats-creds and -c are for NATS; give one or the other")
		}
		return nil, nil
	}
	c, err := s.natsConfig(w)
	switch {
	case err != nil:
		return nil, err
	case !c.NATS.On() && (s.NATSCreds != "" || s.Config != ""):
		return nil, errors.New("--nats-creds and -c are for NATS, but no address is given; give it with --nats or CARRIER_NATS_URL, or set nats.url in the file")
	case !c.NATS.On():
		return nil, nil
	case s.Source == "":
		return nil, errors.New("--source is required over NATS, where it is part of the subject; or give --url to send over HTTP")
	case s.KeyFile != "" || s.SigningSecretFile != "":
		return nil, errors.New("--key-file and --signing-secret-file are for HTTP; over NATS the server knows who may send, by --nats-creds or -c FILE")
	}
	o := app.NATSOptions(c, version().Version)
	return &o, nil
}

// natsConfig is a configuration with the connection that is wanted: of -c FILE, else of the environment alone, and with
// what the flags say above that.
func (s *sendCommand) natsConfig(w *world) (*config.Config, error) {
	env := w.env
	if s.Config == "" { // Variables of other commands, and of the service's other keys, don't matter.
		env = slices.DeleteFunc(slices.Clone(env), func(v string) bool { return !strings.HasPrefix(v, "CARRIER_NATS_") })
	}
	c, err := config.Load(s.Config, env)
	if err == nil && s.NATS != "" {
		c.NATS.URL, err = config.DSN(s.NATS), checkNATSFlag(s.NATS)
	}
	if err != nil {
		return nil, err
	}
	for _, creds := range []string{w.getenv("CARRIER_NATS_CREDS"), s.NATSCreds} {
		if creds != "" {
			c.NATS.CredsFile, c.NATS.NKeyFile, c.NATS.User, c.NATS.Password = creds, "", "", ""
		}
	}
	return c, c.Check()
}

// checkNATSFlag keeps secrets off the command line, where everybody on the machine can read them.
func checkNATSFlag(address string) error {
	if strings.Contains(address, "@") {
		return errors.New("--nats must hold no user or password; give those with --nats-creds, or the whole address with CARRIER_NATS_URL")
	}
	return nil
}
