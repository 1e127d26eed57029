package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inProcess runs a command line in this process; env is NAME=VALUE, and nothing else of the environment is seen. With
// command it has a process of its own.
func inProcess(ctx context.Context, env []string, stdin string, args ...string) (status int, stdout, stderr string) {
	var out, errs strings.Builder
	status = run(ctx, &world{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, env: env}, args)
	return status, out.String(), errs.String()
}

// fileOf is a file of the test's own with a text.
func fileOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
