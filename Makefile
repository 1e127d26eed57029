# Everything that is done more than once. `make` or `make help` lists it.

.DEFAULT_GOAL := help
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOLS := go tool -modfile=internal/tools/go.mod

.PHONY: help
help: ## list what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/carrier, a static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.release=$(VERSION)' -o bin/carrier ./cmd/carrier

.PHONY: demo
demo: ## run everything on this machine, with sample traffic
	go run ./cmd/carrier demo

.PHONY: test
test: ## run all tests
	go test ./...

.PHONY: race
race: ## run all tests with the race detector, in random order
	go test -race -shuffle=on ./...

.PHONY: lint
lint: ## formatting, vet, staticcheck, tidy modules
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	go vet ./...
	$(TOOLS) staticcheck ./...
	go mod tidy -diff
	cd internal/tools && go mod tidy -diff

.PHONY: fuzz
fuzz: ## fuzz what strangers send, FUZZTIME (default 20000x, or a time: 1m) for each target
	internal/tools/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## measure this machine
	go run ./cmd/carrier bench

.PHONY: release
release: ## archives for all platforms in dist, with checksums, licences and SBOM
	go run ./internal/release -version $(VERSION) -out dist

.PHONY: check
check: lint race ## what CI runs, but for fuzzing
