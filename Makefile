# hotsvc: make demo shows it at work; make test proves it.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
PREFIX  ?= /usr/local
DESTDIR ?=
BIN      = bin
GO      ?= go
BUILD    = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

.PHONY: all build demo test test-vm bench fuzz mutants sim crash soak check install clean
all: build

build:                ## bin/hotsvc and bin/hsctl
	@$(BUILD) -o $(BIN)/ ./cmd/hotsvc ./cmd/hsctl

demo: build           ## a cable and a dongle, plugged and pulled, in a namespace of their own
	@scripts/demo

test: build           ## unit, race, walk, mutants, scenarios, live
	@scripts/test

test-vm:              ## with real drivers and daemons in a virtual machine
	@scripts/test-vm

fuzz:                 ## every Fuzz target for a while: make fuzz FUZZTIME=60s
	@FUZZTIME=$(or $(FUZZTIME),60s) scripts/fuzz

mutants:              ## switch on every mistake in test/mutants: the tests must see it
	@$(GO) test ./test/mutants -count=1 -timeout 30m -args -all

sim:                  ## a longer walk: make sim STEPS=10000000
	@$(GO) test ./internal/engine -run 'TestWalk$$' -count=1 -v -timeout 0 -args -sim.steps $(or $(STEPS),10000000)

crash:                ## kill -9 of the daemon at each of its effects, and a thousand times at any moment: make crash KILLS=10000
	@KILLS=$(or $(KILLS),1000) scripts/crash

soak:                 ## cables flap, services crash, and nothing grows: make soak TIME=10m
	@TIME=$(or $(TIME),10m) scripts/soak

bench: build          ## speed and memory, beside a C program that does the least
	@scripts/bench

check:                ## format, vet, staticcheck, tidy modules
	@scripts/check

# The names of older systems that hsctl answers to.
PROGRAMS = sv svc svok svlogd chpst setuidgid envuidgid envdir softlimit setlock pgrphack \
	bh-start bh-stop bh-stopall bh-status bh-require bh-release semaphore state connect escort \
	svctl sysmgr sysmgr-depends sysmgr-needs runsyssv checkprocess
COMPATDIR = $(PREFIX)/lib/hotsvc/compat

install: build        ## into $(DESTDIR)$(PREFIX); COMPAT=1: sv, svctl, bh-start … too
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)/etc/hotsvc
	install -m 755 $(BIN)/hotsvc $(DESTDIR)$(PREFIX)/sbin/hotsvc
	install -m 755 $(BIN)/hsctl $(DESTDIR)$(PREFIX)/bin/hsctl
	@# the administrator's, once it is there
	[ -e $(DESTDIR)/etc/hotsvc/udhcpc.script ] || install -m 755 services/udhcpc.script $(DESTDIR)/etc/hotsvc/udhcpc.script
ifdef COMPAT
	@# in a directory of their own, so that nothing on the system is shadowed: put it in PATH where it is wanted
	install -d $(DESTDIR)$(COMPATDIR)
	for name in $(PROGRAMS); do ln -sf ../../../bin/hsctl $(DESTDIR)$(COMPATDIR)/$$name; done
endif

clean:
	rm -rf bin .cache
