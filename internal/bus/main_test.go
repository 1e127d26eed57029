package bus

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that are left. Two are not ours: a NATS server that is stopped in the moment when it makes a
// stream leaves the new stream's file open.
func TestMain(m *testing.M) {
	const server = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction(server+".(*fileStore).flushStreamStateLoop"), goleak.IgnoreAnyFunction(server+"/ats.Register.func1"))
}
