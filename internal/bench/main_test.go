package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// partVariable makes this test binary play a part, as carrier bench --part does.
const partVariable = "CARRIER_BENCH_TEST_PART"

func TestMain(m *testing.M) {
	if os.Getenv(partVariable) != "" {
		if err := Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// spawn starts this test binary as a part.
func spawn(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), partVariable+"=1")
	return cmd
}
