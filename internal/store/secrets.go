package store

import "context"

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
