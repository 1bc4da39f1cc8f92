# Each target is one line; what a line runs is in scripts/ or in the program itself.
.DEFAULT_GOAL := help
GO ?= go
SEEDS ?= 10000
FROM ?= 0
LINT = bin/golangci-lint
SUM = bin/gotestsum

.PHONY: help demo test tools lint race script browser drills sample sim stories canaries campaign faults crash fuzz build package clean

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: build ## a whole site on this machine: cameras, servers, page; kill a server and watch
	@bin/understudy demo

build: ## the one binary, bin/understudy
	@$(GO) build -trimpath -o bin/understudy ./cmd/understudy

test: tools lint race stories script browser drills sample ## everything: vet, lint, race-enabled tests, 10,000 simulated stories, the page in a browser, four drills, a handful of faults

tools: ## install or build what the tests need and this machine lacks
	@scripts/install-test-tools.sh && scripts/build-versitygw.sh

lint: $(LINT) ## vet and golangci-lint
	$(GO) vet ./... && $(LINT) run ./...

$(LINT): tools/go.mod tools/go.sum
	@echo "building golangci-lint of the version in tools/go.mod; this takes two minutes, once"
	@cd tools && $(GO) build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(SUM): tools/gotestsum/go.mod tools/gotestsum/go.sum
	@echo "building gotestsum of the version in tools/gotestsum/go.mod, once"
	@cd tools/gotestsum && $(GO) build -o ../../$(SUM) gotest.tools/gotestsum

race: $(SUM) ## all tests but the long faults, with the race detector; many of them wait, so four packages at once; says what was skipped, and why
	$(SUM) --format pkgname --format-hide-empty-pkg -- -race -p 4 -timeout 9m $$($(GO) list ./... | grep -vE '/test/(faults|crash)$$')

faults: build ## break a whole site in many ways: full disks, random kills, cameras that misbehave (5 minutes)
	$(GO) test -count=1 -timeout 15m ./test/faults

sim: ## play SEEDS stories of a site under faults on virtual time; SEED=n writes down one; QUIET=hours counts false takeovers
	@$(GO) run ./internal/sim/play $(if $(QUIET),-json -quiet-hours $(QUIET),$(if $(SEED),-seed $(SEED),-seeds $(SEEDS) -from $(FROM)))

stories: ## the simulated stories of make test, always the same ones (a minute)
	@$(GO) run ./internal/sim/play -seeds 10000

canaries: ## plant bugs in copies of the code, and see that the simulator finds each of them
	@$(GO) run ./internal/sim/canaries

crash: ## a million crash states of the store in memory, then real processes and disks that are broken (10 minutes)
	scripts/crash.sh

script: ## the pure modules of the page
	node --test web/test/

browser: build ## kill a recording server under a signed-in page, in Chromium
	UNDERSTUDY_BROWSER=1 $(GO) test -count=1 -timeout 5m -run TestPage ./test/browser

drills: build ## rehearse four failures with real processes, one on PostgreSQL with two management servers, and account for each frame
	scripts/drills.sh

sample: ## a handful of the campaign's kinds of fault (half a minute; needs root)
	UNDERSTUDY_CAMPAIGN=1 $(GO) test -count=1 -timeout 5m -v -run TestAHandfulOfKinds ./test/campaign

campaign: ## RUNS=40 [KINDS=a,b] [MODES=hot] [MINUTES=m] [SEED=s]: faults on machines of their own, each frame accounted for (needs root)
	@scripts/campaign.sh

fuzz: ## fuzz each parser of untrusted bytes for a while
	scripts/fuzz.sh

package: ## dist/understudy_VERSION_ARCH.deb: the binary, units for systemd, user, folders, docs
	@scripts/package.sh

clean: ## forget what was built
	rm -rf bin dist
