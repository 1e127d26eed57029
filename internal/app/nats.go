package app

import (
	"carrier/internal/bus"
	"carrier/internal/config"
)

// NATSOptions are the options of a connection to NATS as c wants it: all that the commands beside the service need.
func NATSOptions(c *config.Config, version string) bus.Options {
	n := c.NATS
	return bus.Options{
		URL: n.URL.Reveal(), CredsFile: n.CredsFile, NKeyFile: n.NKeyFile, User: n.User, Password: n.Password.Reveal(),
		TLS:      bus.TLS{CAFile: n.TLS.CAFile, CertFile: n.TLS.CertFile, KeyFile: n.TLS.KeyFile},
		Embedded: bus.Embedded{Listen: n.Embedded.Listen, StoreDir: n.Embedded.StoreDir},
		Replicas: n.Replicas, Version: version,
	}
}
