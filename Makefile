# Verbs. The build itself is meson's; what a verb does is in tools/.
BUILD ?= build
CHATD_CONF ?=
STREAMERD_CONF ?=
FUZZ_SECONDS ?= 30
FUZZ_JOBS ?= 2

.PHONY: help build run test check fmt fuzz deb debtest bench deps clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

deps: ## install the Debian packages that are missing
	@tools/deps.sh build test

build: ## compile into build/
	@tools/deps.sh build
	@tools/build.sh $(BUILD)

run: ## both daemons in the foreground; CHATD_CONF=... STREAMERD_CONF=... for your own configs
	@tools/deps.sh build
	@TARGETS="chatd/chatd chatd/ctl/chatctl streamerd/streamerd" tools/build.sh $(BUILD)
	@tools/run.sh $(BUILD) "$(CHATD_CONF)" "$(STREAMERD_CONF)"

test: ## install what is missing, build, run every suite
	@tools/deps.sh build test
	@tools/build.sh $(BUILD)
	@tools/test.sh $(BUILD)

check: ## format, static analysis, suites, suites with sanitizers: before a commit
	@tools/deps.sh build test check
	@tools/check.sh $(BUILD)

deb: ## Debian packages, in BUILD/deb
	@tools/deps.sh build test deb
	@tools/deb.sh $(BUILD)

debtest: deb ## install, use, upgrade, remove and purge them in a clean Debian with systemd
	@DEBS=$(BUILD)/deb PYTHONPATH=tests python3 tests/systemd/test_deb.py

fmt: ## format the C sources
	@clang-format -i $$(git ls-files '*.c' '*.h')

fuzz: ## each fuzz target for FUZZ_SECONDS, FUZZ_JOBS at a time
	@tools/deps.sh build check
	@tools/fuzz.sh $(BUILD)-fuzz $(FUZZ_SECONDS) $(FUZZ_JOBS)

bench: ## measure; ONLY=fanout, or log, latency, starts, waiting; ONLY="fanout back" for one scenario
	@tools/deps.sh build bench
	@tools/build.sh $(BUILD)
	@tools/bench.sh $(BUILD) $(ONLY)

clean: ## remove the build folders, the state of `make run` too
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-fuzz
