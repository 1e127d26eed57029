#!/usr/bin/env bash
# Runs every fuzz target of the module, for the given number of inputs (default 20000x) or time (1m). A number is what a
# gate should give: before Go 1.27 a run that ends by time may fail with "context deadline exceeded" and nothing found
# (go.dev/issue/75804). Making an interesting input smaller is bounded: it may take a minute each otherwise, and a short
# run would do nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
budget=${1:-20000x}
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$budget" -fuzzminimizetime 20x "$package"
	done
done
