package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// product is the release for one platform.
type product struct {
	root, version string
	goos, goarch  string
	at            time.Time
}

// name is that of the archive without its ending, and of the folder in it.
func (p *product) name() string {
	return strings.Join([]string{"carrier", strings.TrimPrefix(p.version, "v"), p.goos, p.goarch}, "_")
}

// make builds and packs, and returns the archive's path.
func (p *product) make(ctx context.Context, out string, documents []entry) (string, error) {
	binary, info, err := p.build(ctx)
	if err != nil {
		return "", err
	}
	licences, err := licencesOf(ctx, p.root, info)
	if err != nil {
		return "", err
	}
	sbom, err := p.sbom(binary.data, info, licences)
	if err != nil {
		return "", err
	}
	entries := append(slices.Clone(documents), binary,
		entry{name: "sbom.cdx.json", mode: 0o644, data: sbom},
		entry{name: "THIRD-PARTY-LICENSES.txt", mode: 0o644, data: notices(licences)},
	)
	archive := filepath.Join(out, p.name()+".tar.gz")
	pack := packTar
	if p.goos == "windows" {
		archive, pack = filepath.Join(out, p.name()+".zip"), packZip
	}
	var packed bytes.Buffer
	if err := pack(&packed, p.name(), p.at, entries); err != nil {
		return "", err
	}
	return archive, os.WriteFile(archive, packed.Bytes(), 0o644)
}

// build makes the binary, and reads what the toolchain says is in it.
func (p *product) build(ctx context.Context) (entry, *buildinfo.BuildInfo, error) {
	dir, err := os.MkdirTemp("", "carrier-release")
	if err != nil {
		return entry{}, nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	e := entry{name: "carrier", mode: 0o755}
	if p.goos == "windows" {
		e.name += ".exe"
	}
	file := filepath.Join(dir, e.name)
	// What the environment says of Go must not reach into it: only what is named here.
	env := []string{"CGO_ENABLED=0", "GOOS=" + p.goos, "GOARCH=" + p.goarch, "GOFLAGS=-buildvcs=true", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off"}
	if _, err := run(ctx, p.root, env, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.release="+p.version, "-o", file, "./cmd/carrier"); err != nil {
		return entry{}, nil, err
	}
	if e.data, err = os.ReadFile(file); err != nil {
		return entry{}, nil, err
	}
	info, err := buildinfo.Read(bytes.NewReader(e.data))
	if err != nil {
		return entry{}, nil, fmt.Errorf("reading what is in the binary: %w", err)
	}
	return e, info, nil
}

// documentsOf are the files that go into every archive: of what git holds, and nothing else that lies around, what a
// reader of the README is led to.
func documentsOf(ctx context.Context, root string) (entries []entry, err error) {
	list, err := run(ctx, root, nil, "git", "ls-files", "-z", "README.md", "README.zh-CN.md", "api", "configs", "internal/console/browsertest/pictures")
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		if !isDocument(name) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: name, mode: modeOf(name), data: data})
	}
	return entries, nil
}

// isDocument tells what is of use beside a binary from the Go files of api, which the service is built of, and from what
// builds an image from the source.
func isDocument(name string) bool {
	switch dir, file := path.Split(name); {
	case strings.HasSuffix(name, ".go"):
		return strings.HasPrefix(dir, "api/examples/") && !strings.HasSuffix(name, "_test.go")
	case dir == "configs/":
		return !strings.HasPrefix(file, "Dockerfile") && !strings.HasPrefix(file, "compose.") && file != "nodes.Caddyfile"
	}
	return true
}

// modeOf makes scripts executable, whatever the file system here keeps of that.
func modeOf(name string) fs.FileMode {
	if strings.HasSuffix(name, ".sh") {
		return 0o755
	}
	return 0o644
}
