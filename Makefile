# Two commands are enough on a fresh machine: `make demo` and `make test`.
GO     ?= go
PREFIX ?= /usr/local
BIN    := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: build demo test check unit bench install deps fuzz storm clean

build: ## both binaries, into bin/
	@mkdir -p $(BIN)
	$(GO) build -trimpath -o $(BIN)/vigil ./cmd/vigil
	$(GO) build -trimpath -o $(BIN)/vigil-capture ./cmd/vigil-capture

demo: build ## a service hangs; see it detected, captured and restarted
	$(GO) build -o $(BIN)/wedge ./examples/wedge
	scripts/demo.sh $(BIN)

test: deps check unit ## everything: what the tests need is installed first

deps: ## Debian packages that the tests run against
	scripts/install-test-deps.sh

check: ## format, vet on both architectures, staticcheck, tidy
	scripts/check.sh

unit: ## all tests, with the race detector
	$(GO) test -race -timeout 15m ./...

fuzz: ## every fuzz target for a short while
	scripts/fuzz.sh

storm: ## everything at once and at random (docs/storm.md); VIGIL_STORM_TIME, VIGIL_STORM_SEED
	VIGIL_STORM_TIME=$${VIGIL_STORM_TIME:-3m} VIGIL_STORM_RELOADS=$${VIGIL_STORM_RELOADS:-500} \
		$(GO) test -count=1 -v -parallel 4 -timeout 4h ./test/storm

bench: build ## the figures; ratios within one run
	scripts/bench.sh

install: build ## PREFIX=/usr/local
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(BIN)/vigil $(BIN)/vigil-capture $(DESTDIR)$(PREFIX)/bin/

clean:
	rm -rf $(BIN)
