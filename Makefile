# Every target works on a fresh machine with Go; what is built for the tests is
# kept in .cache, which git ignores.

GO    ?= go
CACHE := $(CURDIR)/.cache
BIN   := $(CACHE)/bin
# Modules of this repository; the other tools' modules have no code of their own.
MODULES := . integration bench schema/gen integration/tools/manifests integration/tools/terraform-provider-stub
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
BUILD := github.com/scheduler-store/scheduler-store/internal/build
LDFLAGS := -X $(BUILD).Version=$(VERSION) -X $(BUILD).Commit=$(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: help build run check test unit properties integration doctor soak report lint fmt bench day plots servers generate chaos coverage fuzz million load damage model model-full simulate teeth clean terraform-test terraform-tools deploy-test release observability-test

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
	$(GO) test -race -timeout 30m ./...

properties: ## thousands of random states taken somewhere and back; 300 simulated clusters, and some twice
	SCHEDULER_STORE_STATES=3000 $(GO) test -run RoundTrip .
	SIMULATION_SEEDS=300 $(GO) test -count=1 -timeout 30m -run 'TestSeeds$$' -v ./simulation
	SIMULATION_SEEDS=30 $(GO) test -count=1 -timeout 30m -run TestSeedRepeatsExactly -v ./simulation

integration: servers build ## tests against MinIO, versitygw, a GCS emulator, a KMS, and the real daemon; the bench's; the manifests
	$(GO) -C integration test -timeout 20m ./...
	$(GO) -C integration/tools/manifests test ./...
	$(GO) -C bench test ./...

million: servers ## a million transactions, collected all the while, leaders killed; minutes, on a directory and on MinIO
	SCHEDULER_STORE_SOAK=$${SCHEDULER_STORE_SOAK:-1000000} $(GO) -C integration test -count=1 -timeout 2h -run TestSoak -v ./sleepers

soak: servers build ## what load does, but with 1,000 clients for SOAK=1h: nothing may grow
	SOAK=$(or $(SOAK),1h) $(GO) -C integration test -count=1 -timeout 25h -v ./load

load: servers build ## many clients, more work than the store can take, clients that misbehave, disks that are full; minutes
	$(GO) -C integration test -count=1 -timeout 20m -v ./load

report: servers ## all long tests for TIME=1h, and docs/reliability.md of what they tried and found
	$(GO) -C integration build -o $(BIN)/report ./report
	$(BIN)/report -time $(or $(TIME),1h)

doctor: servers build ## what scheduler-store doctor says of good and bad stores, into docs/doctor.md
	$(GO) -C integration test -count=1 -timeout 30m ./doctor -update

chaos: servers build ## three daemons on MinIO, KILLS leaders killed, others too, frozen, cut off, their store killed, while clients check every answer; an hour
	KILLS=$${KILLS:-500} FREEZES=$${FREEZES:-50} CUTS=$${CUTS:-50} RESTARTS=$${RESTARTS:-20} \
	$(GO) -C integration test -count=1 -timeout 3h -run 'TestChaos$$' -v ./chaos

# The packages below the line of docs/architecture.md, and what they alone stand on. The
# conformance suite of bucket/buckettest and the tools of tests are no part of them.
BELOW := ./cost ./garbage ./persistence/... ./snapshot ./lease ./encryption/... ./bucket ./bucket/bucketurl ./bucket/driver \
	./bucket/filedriver ./bucket/gsdriver ./bucket/httpretry ./bucket/internal/... ./bucket/latencydriver ./bucket/memdriver ./bucket/s3driver \
	./internal/build ./internal/checked ./internal/clock ./internal/collector ./internal/credential ./internal/packed ./internal/sleep
COVERAGE := $(CACHE)/coverage

coverage: servers ## how much of each package below the line its own tests and those of the stores run; what they do not is explained in docs/coverage.md
	mkdir -p $(COVERAGE)
	packages=$$($(GO) list $(BELOW) | paste -sd,) && \
	$(GO) test -count=1 -coverpkg=$$packages -coverprofile=$(COVERAGE)/unit.out $(BELOW) && \
	$(GO) -C integration test -count=1 -timeout 30m -coverpkg=$$packages -coverprofile=$(COVERAGE)/stores.out ./stores
	$(GO) run ./internal/coverage -uncovered $(COVERAGE)/uncovered.txt $(COVERAGE)/unit.out $(COVERAGE)/stores.out

simulate: ## SEEDS=10000 whole clusters in virtual time, each with its own faults; some twenty minutes of two processors
	SIMULATION_SEEDS=$${SEEDS:-10000} $(GO) test -count=1 -timeout 3h -run 'TestSeeds$$' -v ./simulation

teeth: ## breaks each rule of the protocol in turn: how many seeds until the simulation notices; minutes
	$(GO) test -tags mutations -count=1 -timeout 3h -run 'TestTeeth$$' -v ./simulation

fuzz: ## each fuzzer for FUZZTIME=1m, as many at once as there are processors
	$(GO) run ./internal/fuzzing -time $(or $(FUZZTIME),1m)

damage: ## each object of some small cells damaged in each way, every bit of it too; minutes
	SCHEDULER_STORE_DAMAGE=all $(GO) test -count=1 -timeout 3h -run TestDamageOfEachObject -v ./damage

model: ## the protocol's model, checked by spin: minutes, up to 3 GB; model-full takes longer
	@model/check.sh tools
	SCHEDULER_STORE_MODEL=quick $(GO) test -count=1 -timeout 2h -run 'TestModel$$' -v ./model

model-full:
	@model/check.sh tools
	SCHEDULER_STORE_MODEL=full $(GO) test -count=1 -timeout 6h -run 'TestModel$$' -v ./model

terraform-test: terraform-tools servers build ## the modules of terraform/: formatted, linted, valid, tested with mocked providers, and applied to MinIO; builds OpenTofu, minutes
	$(BIN)/tofu fmt -check -diff -recursive terraform
	$(BIN)/tofu fmt -check -diff -recursive integration/terraform/testdata
	@for m in $$(git ls-files --cached --others --exclude-standard 'terraform/*/main.tf' | xargs -n1 dirname); do echo "tflint $$m"; \
		$(BIN)/tflint --config=$(CURDIR)/terraform/.tflint.hcl --chdir=$$m || exit 1; done
	SCHEDULER_STORE_TERRAFORM=1 $(GO) -C integration test -count=1 -timeout 20m -v ./terraform

deploy-test: servers build ## what is below deploy/: the Containerfile's steps, releases, manifests, a rollout, units; needs root, haproxy and systemd-analyze
	@for tool in haproxy systemd-analyze; do command -v $$tool >/dev/null || \
		{ echo "deploy-test needs $$tool (Debian: apt-get install haproxy systemd)" >&2; exit 1; }; done
	$(GO) -C integration/tools/manifests test -count=1 -v ./...
	$(GO) -C integration test -count=1 -timeout 30m -v ./deploy

release: ## dist/: static binaries of the last commit in archives, and their SHA-256 sums; PLATFORMS="linux/amd64 …" for some only
	deploy/release.sh $(PLATFORMS)

# Debian's package prometheus does as well, without make: the tests look in PATH too.
observability-test: $(BIN)/prometheus build ## alerts, their unit tests, and each query of the dashboard, by a real Prometheus and real daemons; builds Prometheus, minutes
	$(GO) -C integration test -count=1 -timeout 20m -v ./observability

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

lint: $(BIN)/staticcheck $(BIN)/govulncheck ## gofmt, go vet, staticcheck, govulncheck, shell
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run 'make fmt':"; echo "$$unformatted"; exit 1; fi
	@for m in $(MODULES); do echo "vet and staticcheck $$m"; \
		(cd $$m && $(GO) vet ./... && $(BIN)/staticcheck ./...) || exit 1; done
	bash -n .ci/run && bash -n model/check.sh && bash -n deploy/release.sh && sh -n deploy/build.sh
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run model/check.sh deploy/release.sh deploy/build.sh; fi
	@if [ -x $(BIN)/tofu ]; then $(BIN)/tofu fmt -check -diff -recursive terraform; fi
	@$(BIN)/govulncheck ./... >$(CACHE)/govulncheck.txt 2>&1; status=$$?; \
	if grep -q 'fetching vulnerabilities' $(CACHE)/govulncheck.txt; then echo "govulncheck: its database can't be reached from here"; \
	elif [ $$status -ne 0 ]; then cat $(CACHE)/govulncheck.txt; exit 1; fi

bench: servers ## the log and the store beside their peers, on this machine; keeps the data and draws the plots
	$(GO) -C bench run . -minio $(BIN)/minio -json results/bench.json
	$(GO) -C bench run ./plot

day: ## a day of DAY=transactions.jsonl in virtual time, beside TASKS=n that stay as they are: how long the log gets, what snapshots write
	SCHEDULER_STORE_DAY=$(abspath $(DAY)) SCHEDULER_STORE_DAY_TASKS=$(TASKS) $(GO) test -timeout 60m -run 'TestDay$$' -v .

plots: ## docs/plots, from the data in bench/results
	$(GO) -C bench run ./plot

servers: $(BIN)/minio $(BIN)/local-kms ## the servers that the tests need, built once

$(BIN)/minio: integration/tools/minio/go.mod integration/tools/minio/go.sum
	$(GO) -C integration/tools/minio build -o $@ github.com/minio/minio

$(BIN)/local-kms: integration/tools/local-kms/go.mod integration/tools/local-kms/go.sum
	$(GO) -C integration/tools/local-kms build -o $@ github.com/nsmithuk/local-kms

$(BIN)/staticcheck: integration/tools/lint/go.mod integration/tools/lint/go.sum
	$(GO) -C integration/tools/lint build -o $@ honnef.co/go/tools/cmd/staticcheck

$(BIN)/govulncheck: integration/tools/lint/go.mod integration/tools/lint/go.sum
	$(GO) -C integration/tools/lint build -o $@ golang.org/x/vuln/cmd/govulncheck

terraform-tools: $(BIN)/tofu $(BIN)/tflint $(BIN)/terraform-provider-minio $(BIN)/terraform-provider-stub

$(BIN)/tofu: integration/tools/tofu/go.mod integration/tools/tofu/go.sum
	$(GO) -C integration/tools/tofu build -o $@ github.com/opentofu/opentofu/cmd/tofu

$(BIN)/tflint: integration/tools/tflint/go.mod integration/tools/tflint/go.sum
	$(GO) -C integration/tools/tflint build -o $@ github.com/terraform-linters/tflint

$(BIN)/terraform-provider-minio: integration/tools/terraform-provider-minio/go.mod integration/tools/terraform-provider-minio/go.sum
	$(GO) -C integration/tools/terraform-provider-minio build -o $@ github.com/aminueza/terraform-provider-minio/v3

$(BIN)/terraform-provider-stub: $(wildcard integration/tools/terraform-provider-stub/*)
	$(GO) -C integration/tools/terraform-provider-stub build -o $@ .

# With promtool; without the service discoveries of clouds, which the tests don't need.
$(BIN)/prometheus: integration/tools/prometheus/go.mod integration/tools/prometheus/go.sum
	$(GO) -C integration/tools/prometheus build -tags remove_all_sd -o $(BIN)/ github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool

generate: ## the Go types from the Thrift IDL, and Grafana's dashboard
	$(GO) -C schema/gen run . -out ../api '../idl/*.thrift'
	$(GO) run ./internal/dashboard > deploy/grafana/scheduler-store.json

clean: ## what was built; the data directory stays
	rm -rf $(CACHE) bin dist
