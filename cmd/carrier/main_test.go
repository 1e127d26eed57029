package main

import (
	"flag"
	"os"
	"testing"
	"time"

	"carrier/internal/store/postgres/pgtest"
)

// runEnv makes the test binary act as carrier itself, so that tests can start, signal and kill real processes
// without building anything.
const runEnv = "CARRIER_TEST_RUN"

// kills is how often TestKill9 kills the service; a release is tested with more.
var kills = flag.Int("kills", 20, "how often TestKill9 kills the service")

// nodesFor is how long TestNodesUnderFaults goes on; a release is tested with 60s and more.
var nodesFor = flag.Duration("nodes-for", 20*time.Second, "how long TestNodesUnderFaults kills nodes")

func TestMain(m *testing.M) {
	if os.Getenv(runEnv) != "" {
		_ = os.Unsetenv(runEnv) // carrier takes CARRIER_... for configuration, and refuses what it does not know.
		main()                  // It ends the process.
	}
	os.Exit(pgtest.Main(m))
}
