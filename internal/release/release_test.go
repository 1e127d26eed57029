package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

var at = time.Unix(1_790_000_000, 0).UTC()

// TestPacking packs the same files twice, in another order: the bytes are the same, and what comes out is what went in.
func TestPacking(t *testing.T) {
	entries := []entry{{"b.sh", 0o755, []byte("b")}, {"a/x.txt", 0o644, []byte("x")}, {"a.txt", 0o644, nil}}
	for _, c := range []struct {
		name string
		pack func(io.Writer, string, time.Time, []entry) error
		list func(*testing.T, []byte) []string
	}{{"tar.gz", packTar, listTar}, {"zip", packZip, listZip}} {
		t.Run(c.name, func(t *testing.T) {
			var first, second bytes.Buffer
			if err := c.pack(&first, "top", at, entries); err != nil {
				t.Fatal(err)
			}
			turned := slices.Clone(entries)
			slices.Reverse(turned)
			if err := c.pack(&second, "top", at, turned); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("the same files in another order make other bytes")
			}
			want := []string{"top/a.txt -rw-r--r-- ", "top/a/x.txt -rw-r--r-- x", "top/b.sh -rwxr-xr-x b"}
			if got := c.list(t, first.Bytes()); !slices.Equal(got, want) {
				t.Errorf("it holds %q, want %q", got, want)
			}
		})
	}
}

func listTar(t *testing.T, packed []byte) (files []string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil || !h.ModTime.Equal(at) || h.Uname != "" || h.Uid != 0 {
			t.Errorf("%s is of %v and belongs to %q; %v", h.Name, h.ModTime, h.Uname, err)
		}
		files = append(files, fmt.Sprintf("%s %v %s", h.Name, h.FileInfo().Mode(), text))
	}
}

func listZip(t *testing.T, packed []byte) (files []string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil || !f.Modified.Equal(at) {
			t.Errorf("%s is of %v; %v", f.Name, f.Modified, err)
		}
		files = append(files, fmt.Sprintf("%s %v %s", f.Name, f.Mode(), text))
	}
	return files
}

// TestLicenceIn reads the licences of modules by their words; what is not known stops the release.
func TestLicenceIn(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // Empty: it is not known.
	}{
		{"MIT", map[string]string{"LICENSE": "Copyright A\n\nPermission is hereby granted, free\nof charge, to any person"}, "MIT"},
		{"Apache with a notice", map[string]string{"LICENSE.txt": "Apache License\n Version 2.0, January 2004", "NOTICE": "made by B"}, "Apache-2.0"},
		{"BSD of two clauses", map[string]string{"License": "Redistribution and use in source and binary forms, with"}, "BSD-2-Clause"},
		{"BSD of three", map[string]string{"COPYING": "Redistribution and use in source and binary forms\nNeither the name of"}, "BSD-3-Clause"},
		{"two at once", map[string]string{"LICENSE": "Permission is hereby granted, free of charge", "LICENSE-2.0.txt": "Apache License Version 2.0"}, "Apache-2.0 AND MIT"},
		{"unknown words", map[string]string{"LICENSE": "All rights reserved."}, ""},
		{"none", map[string]string{"README": "Permission is hereby granted, free of charge"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			module := fstest.MapFS{}
			for name, text := range c.files {
				module[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := licenceIn(module)
			if got.spdx != c.want || (err == nil) != (c.want != "") {
				t.Errorf("it is under %q, %v; want %q", got.spdx, err, c.want)
			}
			for name, text := range c.files {
				if c.want != "" && !strings.Contains(got.notices, text) {
					t.Errorf("what %s says is not handed on", name)
				}
			}
		})
	}
}

// TestSBOM lists a binary of two modules, one of them replaced.
func TestSBOM(t *testing.T) {
	info := &buildinfo.BuildInfo{
		GoVersion: "go1.26.0", Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}},
		Deps: []*debug.Module{{Path: "a.b/c", Version: "v1.0.0"}, {Path: "d.e/f", Version: "v1.0.0", Replace: &debug.Module{Path: "g.h/f", Version: "v2.0.0"}}},
	}
	var licences []licence
	for _, m := range modulesOf(info) {
		licences = append(licences, licence{module: m, spdx: "MIT"})
	}
	p := product{version: "v1", at: at}
	text, err := p.sbom([]byte("binary"), info, licences)
	if err != nil {
		t.Fatal(err)
	}
	var got bom
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	var purls []string
	for _, c := range got.Components {
		purls = append(purls, c.PURL+" "+c.Licences[0].SPDX)
	}
	if want := []string{"pkg:golang/a.b/c@v1.0.0 MIT", "pkg:golang/g.h/f@v2.0.0 MIT"}; !slices.Equal(purls, want) {
		t.Errorf("it lists %q, want %q", purls, want)
	}
	self := got.Metadata.Component
	if got.Format != "CycloneDX" || got.Spec != "1.6" || !got.Metadata.Timestamp.Equal(at) ||
		self.Hashes[0].Content != fmt.Sprintf("%x", sha256.Sum256([]byte("binary"))) ||
		!slices.Contains(self.Properties, property{"go:build:vcs.revision", "abc"}) {
		t.Errorf("it says of itself %+v", got)
	}
}

// real releases the service itself; that takes as long as building it does.
var real = flag.Bool("real", false, "TestReleaseTwice releases this repository, not a small one")

// smallRepository makes a repository of the same shape, which builds in no time.
func smallRepository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module carrier\n\ngo 1.26\n",
		"cmd/carrier/main.go": `package main

import "runtime/debug"

var release string

func main() {
	info, _ := debug.ReadBuildInfo()
	println("carrier " + release + "\n" + info.String())
}
`,
		"README.md": "R", "README.zh-CN.md": "R", "configs/carrier.yaml": "c", "configs/carrier.service": "s", "configs/Dockerfile": "d",
		"api/openapi.yaml": "o", "api/api_test.go": "package api", "api/examples/send.go": "package main",
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, root, "init", "-q")
	git(t, root, "add", "-A")
	git(t, root, "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "-m", "all")
	return root
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	if text, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, text)
	}
}

// TestReleaseTwice makes the release of this machine's platform from two clones in different folders: the same bytes.
func TestReleaseTwice(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git here")
	}
	root := "../.."
	if !*real {
		root = smallRepository(t)
	}
	head, err := exec.Command("git", "-C", root, "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	platform, name := runtime.GOOS+"/"+runtime.GOARCH, ""
	for i, folder := range []string{"a", "another/folder"} {
		clone, out := filepath.Join(t.TempDir(), folder), t.TempDir()
		git(t, root, "clone", "-q", "--shared", ".", clone)
		// What git does not hold is not handed out, and what it is told to ignore makes no commit a modified one.
		for file, text := range map[string]string{"configs/mine.yaml": "secret", ".git/info/exclude": "mine.yaml\n"} {
			if err := os.WriteFile(filepath.Join(clone, filepath.FromSlash(file)), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := release(t.Context(), clone, out, "v1.2.3", []string{platform}); err != nil {
			t.Fatal(err)
		}
		sums, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sum, file, _ := strings.Cut(strings.TrimSpace(string(sums)), "  ")
		if archives[i], err = os.ReadFile(filepath.Join(out, file)); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(archives[i])); got != sum {
			t.Errorf("the sum of %s is %s, and SHA256SUMS says %s", file, got, sum)
		}
		name = strings.TrimSuffix(strings.TrimSuffix(file, ".zip"), ".tar.gz")
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two clones of one commit make different archives")
	}
	if runtime.GOOS != "windows" {
		holdsRelease(t, archives[0], name, strings.TrimSpace(string(head)))
	}
}

// holdsRelease looks for what a release has to hold, and runs the binary, which knows its version and commit.
func holdsRelease(t *testing.T, archive []byte, name, commit string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			files[strings.TrimPrefix(h.Name, name+"/")], err = io.ReadAll(in)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"carrier", "README.md", "README.zh-CN.md", "configs/carrier.yaml", "configs/carrier.service",
		"api/openapi.yaml", "sbom.cdx.json", "THIRD-PARTY-LICENSES.txt"} {
		if len(files[want]) == 0 {
			t.Errorf("there is no %s", want)
		}
	}
	for file := range files {
		if file == "configs/mine.yaml" || strings.HasSuffix(file, "_test.go") || file == "configs/Dockerfile" {
			t.Errorf("%s is handed out", file)
		}
	}
	binary := filepath.Join(t.TempDir(), "carrier")
	if err := os.WriteFile(binary, files["carrier"], 0o700); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(said), "carrier v1.2.3\n") || !strings.Contains(string(said), commit) ||
		strings.Contains(string(said), "-modified") || strings.Contains(string(said), "modified=true") {
		t.Errorf("the binary says %q, %v", said, err)
	}
}

// TestModes makes scripts executable, and nothing else.
func TestModes(t *testing.T) {
	for name, want := range map[string]fs.FileMode{"configs/secrets.sh": 0o755, "configs/carrier.yaml": 0o644} {
		if got := modeOf(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
