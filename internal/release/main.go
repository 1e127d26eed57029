// Command release builds what is handed out: an archive for each platform with the static binary, the documents, the
// configuration and the clients' examples, the licences of all that is linked in, and an SBOM; and SHA256SUMS of them.
//
//	go run ./internal/release -version v1.2.3 -out dist
//
// The same commit and toolchain give the same bytes, wherever and whenever it runs: paths are trimmed, and every time is
// SOURCE_DATE_EPOCH, by default that of the commit (https://reproducible-builds.org/specs/source-date-epoch/).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// defaultPlatforms are those that a release is made for.
const defaultPlatforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64"

func main() {
	version := flag.String("version", "dev", "what `carrier version` says")
	out := flag.String("out", "dist", "folder to write into")
	platforms := flag.String("platforms", defaultPlatforms, "GOOS/GOARCH, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := release(ctx, ".", *out, *version, strings.Split(*platforms, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release makes a release of the repository at root.
func release(ctx context.Context, root, out, version string, platforms []string) error {
	at, err := sourceDate(ctx, root)
	if err != nil {
		return err
	}
	documents, err := documentsOf(ctx, root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var archives []string
	for _, platform := range platforms {
		goos, goarch, ok := strings.Cut(platform, "/")
		if !ok {
			return fmt.Errorf("%q is no platform; write GOOS/GOARCH", platform)
		}
		p := product{root: root, version: version, goos: goos, goarch: goarch, at: at}
		archive, err := p.make(ctx, out, documents)
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		fmt.Println(archive)
		archives = append(archives, archive)
	}
	return writeSums(filepath.Join(out, "SHA256SUMS"), archives)
}

// sourceDate is the time that everything in the archives has.
func sourceDate(ctx context.Context, root string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := run(ctx, root, nil, "git", "log", "-1", "--format=%ct")
		if err != nil {
			return time.Time{}, fmt.Errorf("the time of the commit (or set SOURCE_DATE_EPOCH): %w", err)
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH must be Unix seconds: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// run runs a command in a folder and returns what it prints; its error says what it complained about.
func run(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s %s: %w: %s", name, args[0], err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}
