package config

import (
	"reflect"
	"time"
)

// Default is the configuration without a file: loopback only, and no source, account or token.
func Default() *Config {
	return &Config{
		Server:   Server{Listen: "127.0.0.1:8080", AdminListen: "127.0.0.1:8081", MaxBody: MiB},
		Store:    Store{URL: "file:carrier-data", Retention: Duration(720 * time.Hour), MinFree: 256 * MiB, Lease: Duration(10 * time.Second)},
		NATS:     NATS{Replicas: 1, Embedded: NATSEmbedded{Listen: "127.0.0.1:4222", StoreDir: "nats"}},
		Platform: Platform{BaseURL: DefaultBaseURL},
		State: State{
			ReorderWindow: Duration(2 * time.Minute),
			MaxFuture:     Duration(10 * time.Minute),
			MaxActionMsg:  1024,
		},
		Push: Push{
			Retry: Retry{
				Initial:    Duration(time.Second),
				Max:        Duration(5 * time.Minute),
				Multiplier: 2,
				MaxAge:     Duration(72 * time.Hour),
			},
			TokenRetries:    3,
			NoTokenWait:     Duration(24 * time.Hour),
			UnknownWaybills: UnknownWait,
			Breaker: Breaker{
				MinRequests:  20,
				FailureRatio: 0.5,
				Interval:     Duration(10 * time.Second),
				OpenFor:      Duration(30 * time.Second),
				HalfOpen:     5,
			},
			Guard: Guard{Share: 0.5, Min: 1000, Window: Duration(10 * time.Minute)},
		},
		Verify: Verify{Share: 0.01, Rate: 1, PerDay: 10_000, After: Duration(5 * time.Minute), Delay: Duration(time.Minute)},
		Log:    Log{Level: "info", Format: "auto"},
	}
}

// DefaultAccount is an account as it is before its own keys are read.
func DefaultAccount() Account {
	return Account{
		BaseURL:         DefaultBaseURL,
		FallbackBaseURL: DefaultFallbackBaseURL,
		TokenMode:       TokenStable,
		Concurrency:     64,
		Timeout:         Duration(10 * time.Second),
	}
}

// defaultElement is an element of a list before its own keys are read.
func defaultElement(t reflect.Type) reflect.Value {
	switch t {
	case reflect.TypeFor[Account]():
		return reflect.ValueOf(DefaultAccount())
	case reflect.TypeFor[Merchant]():
		return reflect.ValueOf(Merchant{BaseURL: DefaultBaseURL, TokenMode: TokenStable})
	}
	return reflect.Zero(t)
}
