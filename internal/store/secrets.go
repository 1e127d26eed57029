package store

import (
	"context"
	"fmt"
)

// Secrets keeps what a few parts of the service must not lose and nobody may see, by name; sealed like Tokens where there
// are keys. They are few and short, and nothing of them is ever listed.
type Secrets interface {
	// Secret reads one; nil if there is none under that name.
	Secret(ctx context.Context, name string) ([]byte, error)
	// PutSecret keeps one in place of the last of that name. A name is 1 to 512 bytes, a value at most 4,096.
	PutSecret(ctx context.Context, name string, value []byte) error
}

// Bounds of Secrets, in bytes.
const (
	MaxSecretName = 512
	MaxSecret     = 4096
)

// FitSecret refuses names and values that PutSecret does not take. The error does not hold the value.
func FitSecret(name string, value []byte) error {
	switch {
	case name == "" || len(name) > MaxSecretName:
		return fmt.Errorf("the name of a secret has %d bytes; 1 to %d are allowed", len(name), MaxSecretName)
	case len(value) > MaxSecret:
		return fmt.Errorf("the secret %s has %d bytes; %d are allowed", name, len(value), MaxSecret)
	}
	return nil
}
