package main

import (
	"flag"
	"os"
	"testing"

	"carrier/internal/store/postgres/pgtest"
)

// runEnv makes the test binary act as carrier itself, so that tests can start, signal and kill real processes
// without building anything.
const runEnv = "CARRIER_TEST_RUN"

// kills is how often TestKill9 kills the service; a release is tested with more.
var kills = flag.Int("kills", 20, "how often TestKill9 kills the service")

func TestMain(m *testing.M) {
	if os.Getenv(runEnv) != "" {
		_ = os.Unsetenv(runEnv) // carrier takes CARRIER_... for configuration, and refuses what it does not know.
		main()                  // It ends the process.
	}
	os.Exit(pgtest.Main(m))
}
