# Every target works on a fresh machine with Go; what is built for the tests is
# kept in .cache, which git ignores.

GO    ?= go
CACHE := $(CURDIR)/.cache
BIN   := $(CACHE)/bin
# Modules of this repository; the tools' modules have no code of their own.
MODULES := . integration bench schema/gen
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
BUILD := github.com/scheduler-store/scheduler-store/internal/build
LDFLAGS := -X $(BUILD).Version=$(VERSION) -X $(BUILD).Commit=$(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: help build run check test unit properties integration lint fmt bench plots servers generate clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

build: ## the command, as bin/scheduler-store
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/scheduler-store ./cmd/scheduler-store

run: build ## the daemon on a directory, ./scheduler-store-data
	bin/scheduler-store serve

test: lint unit properties integration ## everything: lint, unit tests, thousands of random states, tests against real servers

check: lint ## the everyday check: lint and unit tests without the race detector
	$(GO) test ./...

unit: ## unit tests under the race detector
	$(GO) test -race ./...

properties: ## thousands of random states taken somewhere and back
	SCHEDULER_STORE_STATES=3000 $(GO) test -run RoundTrip .

integration: servers build ## tests against MinIO, versitygw, a GCS emulator, and the real daemon; the bench's
	$(GO) -C integration test -timeout 20m ./...
	$(GO) -C bench test ./...

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

lint: $(BIN)/staticcheck $(BIN)/govulncheck ## gofmt, go vet, staticcheck, govulncheck, shell
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run 'make fmt':"; echo "$$unformatted"; exit 1; fi
	@for m in $(MODULES); do echo "vet and staticcheck $$m"; \
		(cd $$m && $(GO) vet ./... && $(BIN)/staticcheck ./...) || exit 1; done
	bash -n .ci/run
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run; fi
	@$(BIN)/govulncheck ./... >$(CACHE)/govulncheck.txt 2>&1; status=$$?; \
	if grep -q 'fetching vulnerabilities' $(CACHE)/govulncheck.txt; then echo "govulncheck: its database can't be reached from here"; \
	elif [ $$status -ne 0 ]; then cat $(CACHE)/govulncheck.txt; exit 1; fi

bench: servers ## the log and the store beside their peers, on this machine; keeps the data and draws the plots
	$(GO) -C bench run . -minio $(BIN)/minio -json results/bench.json
	$(GO) -C bench run ./plot

plots: ## docs/plots, from the data in bench/results
	$(GO) -C bench run ./plot

servers: $(BIN)/minio ## the servers that the tests need, built once

$(BIN)/minio: integration/tools/minio/go.mod integration/tools/minio/go.sum
	$(GO) -C integration/tools/minio build -o $@ github.com/minio/minio

$(BIN)/staticcheck: integration/tools/lint/go.mod integration/tools/lint/go.sum
	$(GO) -C integration/tools/lint build -o $@ honnef.co/go/tools/cmd/staticcheck

$(BIN)/govulncheck: integration/tools/lint/go.mod integration/tools/lint/go.sum
	$(GO) -C integration/tools/lint build -o $@ golang.org/x/vuln/cmd/govulncheck

generate: ## the Go types from the Thrift IDL
	$(GO) -C schema/gen run . -out ../api '../idl/*.thrift'

clean: ## what was built; the data directory stays
	rm -rf $(CACHE) bin
