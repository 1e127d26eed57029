#!/usr/bin/env bash
# Runs every fuzz target of the module, for the given number of inputs (default 20000x) or time (1m). A number is what a
# gate should give: before Go 1.27 a run that ends by time may fail with "context deadline exceeded" and nothing found
# (go.dev/issue/75804). Making an interesting input smaller is bounded: it may take a minute each otherwise, and a short
# run would do nothing else. A package is built once for all its targets: `go test -fuzz` would link it for each.
set -euo pipefail
cd "$(dirname "$0")/../.."
budget=${1:-20000x}
binaries=$(mktemp -d)
trap 'rm -rf "$binaries"' EXIT
cache=$(go env GOCACHE)/fuzz
while read -r package folder; do
	grep -qs '^func Fuzz' "$folder"/*_test.go || continue
	go test -c -fuzz . -o "$binaries/test" "$package"
	cd "$folder"
	for target in $("$binaries/test" -test.list '^Fuzz'); do
		echo "$package $target"
		"$binaries/test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$budget" -test.fuzzminimizetime 20x \
			-test.fuzzcachedir "$cache/$package" </dev/null
	done
done < <(go list -f '{{.ImportPath}} {{.Dir}}' ./...)
