# kresd: build, run, test. `make help` lists what there is.
#
# Every target that compiles goes through lua-vm first: the Lua VM is built from
# the pinned module and our own patch, see scripts/lua-vm.sh.

PREFIX  ?= /usr/local
DESTDIR ?=
# Five CPU-minutes a target: its workers are as many as there are processors.
FUZZTIME ?= $(shell expr 300 / $$(nproc))s
SCALE   ?= 1
ROUNDS  ?= 5
PKGS    ?= ./...
TIME    ?= 10m
# Where the specification and its test material lie, outside this repository.
KRESD_SHARED ?= $(abspath ../shared)
export KRESD_SHARED

# The version is stamped below; Go's own stamping fails in a clone that another
# user owns.
export GOFLAGS := -buildvcs=false $(GOFLAGS)
export CGO_ENABLED := 1

COMMIT  := $(shell git rev-parse --short=9 HEAD 2>/dev/null)
LDFLAGS := $(if $(COMMIT),-X kresd/internal/version.build=g$(COMMIT))

STATICCHECK := .build/bin/staticcheck
NFPM := .build/bin/nfpm
GOTESTSUM := .build/bin/gotestsum
# Runs the tests of a list of packages. One that fails beside all others, on a machine that
# they keep busy, is run again by itself, twice at most; the summary names it. Races, panics
# and more than five failures are final.
RUNTESTS := $(GOTESTSUM) --format standard-quiet --rerun-fails=2 --rerun-fails-max-failures=5 \
	--rerun-fails-run-root-test --rerun-fails-abort-on-data-race --packages

.PHONY: help build run test race vet lint fuzz attack reloads bench bench-peers bench-layers bench-lossy bench-encrypted profile mutants lua-vm docs install package clean prereq testdeps

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: lua-vm ## bin/kresd, bin/kresd-supervisor, bin/kresc, bin/kres-cache-gc and the small Internet of make run
	go build -pgo=cmd/kresd/kresd.pgo -ldflags '$(LDFLAGS)' -o bin/ ./cmd/kresd ./cmd/kresd-supervisor ./cmd/kresc ./cmd/kres-cache-gc ./internal/authority/cmd/smallnet

run: build ## a group of workers on 127.0.0.1 (PORT=5353 WORKERS=2 RUNDIR=run)
	@exec sh scripts/run.sh

test: lua-vm testdeps $(NFPM) $(GOTESTSUM) ## vet, then every test; installs what they need when run as root
	go vet $(PKGS)
	@sh scripts/notrun.sh
	$(RUNTESTS) "$$(go list $(PKGS) | grep -v '^kresd/test' | xargs)" -- -timeout 15m
	$(RUNTESTS) ./test -- -timeout 30m -count=1
	$(RUNTESTS) ./test/attack -- -timeout 15m -count=1

race: lua-vm testdeps $(GOTESTSUM) ## the tests of the packages under the race detector
	$(RUNTESTS) "$$(go list $(PKGS) | grep -v '^kresd/test' | xargs)" -- -race -timeout 20m

vet: lua-vm ## go vet
	go vet $(PKGS)

lint: lua-vm $(STATICCHECK) ## gofmt and staticcheck
	@sh scripts/gofmt.sh
	$(STATICCHECK) $(PKGS)

fuzz: lua-vm ## every fuzz target for FUZZTIME each (5 CPU-minutes by default)
	@sh scripts/fuzz.sh $(FUZZTIME)

mutants: lua-vm ## breaks PKG=./internal/… in small ways for TIME=10m and lists what no test of it, or of TESTS=, notices
	@test "$(PKG)" || { echo "make mutants PKG=./internal/cache [TESTS=./internal/worker] [TIME=10m] [MAX=N] [SEED=N]" >&2; exit 2; }
	go run ./internal/house/mutants -time $(TIME) $(if $(MAX),-max $(MAX)) $(if $(SEED),-seed $(SEED)) $(if $(TESTS),-tests $(TESTS)) $(PKG)

attack: lua-vm ## the attacks of test/attack and a table of their figures (SCALE=1)
	KRESD_ATTACK_SCALE=$(SCALE) go test -count=1 -timeout 15m ./test/attack
	@cat .build/attack.md

reloads: lua-vm ## 100 reloads and 20 upgrades of groups under 20,000 queries a second and 200 connections, 100 broken configurations
	KRESD_RELOADS=100 KRESD_UPGRADES=20 KRESD_RELOAD_RATE=20000 KRESD_RELOAD_TCP=200 KRESD_BROKEN=100 \
		go test -count=1 -timeout 60m -v -run 'UnderLoadLoseNothing|BrokenConfigurationsAreRefused' ./test

bench: lua-vm ## benchmarks of the packages
	go test -run '^$$' -bench . -benchmem ./internal/...

bench-peers: build ## beside Unbound and Knot Resolver, by $KRESD_SHARED/bench (root)
	KRESD_CONFIG=$(abspath scripts/bench.conf) KRESD_BIN=$(abspath bin/kresd) \
		$(KRESD_SHARED)/bench/run --resolvers kresd,knot,unbound,c:mmsg --workloads hit,lat,miss,smiss,nxnsec,nxnsec3,cold --workers 1,2

bench-layers: build ## what an answer from the cache costs beside layers in Lua (dnsperf)
	@sh scripts/layercost.sh

bench-lossy: lua-vm testdeps ## beside Unbound and Knot Resolver on an Internet with loss, delay and dead servers (root, ROUNDS=5)
	KRESD_BENCH_LOSSY=$(ROUNDS) go test -count=1 -timeout 20m ./test -run '^TestLossyInternet$$' -v

bench-encrypted: lua-vm testdeps ## answers by HTTPS and QUIC beside dnsdist and Unbound (ROUNDS=5)
	KRESD_BENCH_ENCRYPTED=$(ROUNDS) go test -count=1 -timeout 20m ./test -run '^TestEncryptedBesidePeers$$' -v

profile: lua-vm ## cmd/kresd/kresd.pgo, the compiler's knowledge of busy ways, by $KRESD_SHARED/bench (root)
	@sh scripts/profile.sh

docs: lua-vm ## the manual's reference chapter and kresd.conf(5), from internal/reference; completions, from --help
	go test ./internal/worker -count=1 -run '^TestDocumentsAreMadeFromTheReference$$' -docs
	go test ./internal/cli -count=1 -run '^TestCompletionsAreMadeFromTheUsage$$' -docs

lua-vm: prereq ## the patched Lua VM in .build, and go.work that points to it
	@sh scripts/lua-vm.sh

install: build ## into PREFIX=/usr/local (DESTDIR= for packagers): programs, pages, units, completions, examples
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' sh scripts/install.sh

package: lua-vm $(NFPM) ## a .deb and an .rpm in .build/packages, for this machine's architecture
	@sh scripts/package.sh

clean: ## remove what make built (run/ with its cache stays)
	rm -rf bin .build go.work go.work.sum

prereq:
	@sh scripts/prereq.sh

testdeps: prereq
	@sh scripts/testdeps.sh

# A separate module, so that the linter's dependencies are not ours.
$(STATICCHECK): tools/go.mod tools/go.sum | prereq
	cd tools && GOWORK=off go build -o ../$@ honnef.co/go/tools/cmd/staticcheck

$(NFPM): tools/nfpm/go.mod tools/nfpm/go.sum | prereq
	cd tools/nfpm && GOWORK=off go build -o ../../$@ github.com/goreleaser/nfpm/v2/cmd/nfpm

$(GOTESTSUM): tools/gotestsum/go.mod tools/gotestsum/go.sum | prereq
	cd tools/gotestsum && GOWORK=off go build -o ../../$@ gotest.tools/gotestsum
