package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the linker for a release build.
var release string

// build is what is known of this binary.
type build struct {
	Version string
	Commit  string
	Time    string
	Go      string
}

// version reads what the linker and the Go toolchain put into the binary.
func version() build {
	b := build{Version: release, Commit: "unknown", Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		modified := ""
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				if s.Value == "true" {
					modified = "-modified"
				}
			}
		}
		if b.Commit != "unknown" {
			b.Commit += modified
		}
	}
	if b.Version == "" {
		b.Version = "dev"
	}
	return b
}

type versionCommand struct{}

func (versionCommand) Run(w *world) error {
	b := version()
	_, err := fmt.Fprintf(w.stdout, "carrier %s\ncommit  %s %s\n%s %s/%s\n", b.Version, b.Commit, b.Time, b.Go,
		runtime.GOOS, runtime.GOARCH)
	return err
}
