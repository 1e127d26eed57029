package pgtest

import (
	"os"
	"testing"
)

// RequireEnv is the variable which, set to 1, makes a missing PostgreSQL a failure rather than a skipped test.
const RequireEnv = "REQUIRE_POSTGRES"

// skip ends the test because PostgreSQL can't be started here: skipped on a developer's machine, failed at the gate.
func skip(t testing.TB, err error) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("%s=1 and PostgreSQL can't be started: %v", RequireEnv, err)
	}
	t.Skipf("PostgreSQL can't be started: %v", err)
}
