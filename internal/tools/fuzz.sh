#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time (default 5s). Making an interesting input smaller is bounded:
# it may take a minute each otherwise, and a short run would do nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
time=${1:-5s}
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 20x "$package"
	done
done
