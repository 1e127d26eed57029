package main

import (
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// licence is under which terms a module is used.
type licence struct {
	module  debug.Module
	spdx    string // An SPDX expression.
	notices string // The texts that have to be handed on.
}

// licencesOf reads the licences of Go itself and of each module in a binary, from where the toolchain keeps them.
func licencesOf(ctx context.Context, root string, info *buildinfo.BuildInfo) ([]licence, error) {
	goroot, err := run(ctx, root, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	folders, err := foldersOf(ctx, root, info)
	if err != nil {
		return nil, err
	}
	std := debug.Module{Path: "std", Version: info.GoVersion}
	folders[std.Path] = strings.TrimSpace(string(goroot))
	var all []licence
	for _, m := range append([]debug.Module{std}, modulesOf(info)...) {
		l, err := licenceIn(os.DirFS(folders[m.Path]))
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.Path, m.Version, err)
		}
		l.module = m
		all = append(all, l)
	}
	return all, nil
}

// modulesOf are the modules in a binary, as they really were.
func modulesOf(info *buildinfo.BuildInfo) (modules []debug.Module) {
	for _, d := range info.Deps {
		modules = append(modules, *cmp.Or(d.Replace, d))
	}
	return modules
}

// foldersOf finds the modules' source.
func foldersOf(ctx context.Context, root string, info *buildinfo.BuildInfo) (map[string]string, error) {
	args := []string{"mod", "download", "-json"}
	for _, m := range modulesOf(info) {
		args = append(args, m.Path+"@"+m.Version)
	}
	out, err := run(ctx, root, nil, "go", args...)
	if err != nil {
		return nil, err
	}
	folders := map[string]string{}
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Dir string }
		if err := in.Decode(&m); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, err
		}
		folders[m.Path] = m.Dir
	}
}

// legal matches the names of files that have to be handed on.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)[^/]*$`)

// licenceIn reads what a module's folder says of its terms.
func licenceIn(module fs.FS) (licence, error) {
	entries, err := fs.ReadDir(module, ".")
	if err != nil {
		return licence{}, err
	}
	var terms []string
	var texts strings.Builder
	for _, e := range entries {
		if e.IsDir() || !legal.MatchString(e.Name()) {
			continue
		}
		text, err := fs.ReadFile(module, e.Name())
		if err != nil {
			return licence{}, err
		}
		terms = append(terms, termsIn(string(text))...)
		fmt.Fprintf(&texts, "%s\n", bytes.TrimRight(text, "\n"))
	}
	slices.Sort(terms)
	terms = slices.Compact(terms)
	if len(terms) == 0 {
		return licence{}, errors.New("its licence is not known here; read it and, if it may be used, teach termsIn to know it")
	}
	return licence{spdx: strings.Join(terms, " AND "), notices: texts.String()}, nil
}

// termsIn finds licences in a text by the words that no other one has.
func termsIn(text string) (spdx []string) {
	text = strings.Join(strings.Fields(text), " ")
	has := func(words string) bool { return strings.Contains(text, words) }
	if has("Apache License") && has("Version 2.0") {
		spdx = append(spdx, "Apache-2.0")
	}
	if has("Permission is hereby granted, free of charge") {
		spdx = append(spdx, "MIT")
	}
	if has("Permission to use, copy, modify, and/or distribute this software") || has("Permission to use, copy, modify, and distribute this software") {
		spdx = append(spdx, "ISC")
	}
	if has("Mozilla Public License Version 2.0") || has("Mozilla Public License, version 2.0") {
		spdx = append(spdx, "MPL-2.0")
	}
	if has("Redistribution and use in source and binary forms") {
		if has("Neither the name") || has("The names of its contributors") || has("names of its contributors may be used") {
			spdx = append(spdx, "BSD-3-Clause")
		} else {
			spdx = append(spdx, "BSD-2-Clause")
		}
	}
	return spdx
}

// notices is the document that licences ask for: who made what is linked in, and under which terms.
func notices(licences []licence) []byte {
	var b bytes.Buffer
	b.WriteString("carrier contains these modules, each under the terms below its name.\n")
	for _, l := range licences {
		line := strings.Repeat("=", 80)
		fmt.Fprintf(&b, "\n%s\n%s %s (%s)\n%s\n\n%s", line, l.module.Path, l.module.Version, l.spdx, line, l.notices)
	}
	return b.Bytes()
}
