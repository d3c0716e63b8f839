# Verbs of the project. Each does all its own set-up, asks nothing and needs no root.
#
#   CORE=release make test     another Cargo profile of the core (default: dev)
#   ROW=scan make bench        one row of the benchmarks (default: all)
#   SCALE=full make bench      the data sizes of the targets (default: small, about ten minutes)
#   ARGS='scan src' make run   the command line's arguments

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# `cargo test` compiles this profile too, with its dependencies optimised: the core is built once.
CORE ?= dev
ROW ?= all
SCALE ?= small
SWEEP ?= 1000
CHAOS ?= 600
JOBS ?= 1000
ENTRIES ?= 10000000
FILES ?= 1000000
OBJECTS ?= 20000
GIB := 1073741824
TARGET ?= all
FUZZ ?= 60
ARGS ?= --help

BIN := .venv/bin
# A dev build is meant here: no warning that it is slower.
ifeq ($(CORE),dev)
export PRAVAH_DEV := 1
endif
# rustup's installer edits the shell's profile, which make's shell does not read.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: setup
setup: ## install everything into .venv, with the Rust core
	@scripts/setup.sh $(CORE)

.PHONY: build-rust
build-rust: ## build and install the Rust core, optimised
	@scripts/setup.sh release

.PHONY: demo
demo: setup ## run a real job, kill it half-way, resume it, show the report
	@$(BIN)/pravah demo

.PHONY: demo-s3
demo-s3: setup servers ## run the documented example with a real MinIO as its sink
	@$(BIN)/python scripts/demo_s3.py

.PHONY: run
run: setup ## run the command line: make run ARGS='scan src --count'
	@$(BIN)/python app/cli.py $(ARGS)

.PHONY: servers
servers: ## build the object stores that tests run against: MinIO and versitygw
	@scripts/object_servers.sh

.PHONY: test
test: setup servers ## run all tests: Rust, then Python
	cd pravah_core && cargo test
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: sweep
sweep: setup servers ## kill jobs SWEEP times (1000), over files and over objects, and compare what they leave
	PRAVAH_SWEEP=$(SWEEP) $(BIN)/pytest tests/e2e/test_kill_sweep.py tests/e2e/test_object_sweep.py --timeout=0

.PHONY: chaos
chaos: setup ## kill workers and PostgreSQL for CHAOS seconds (600), and the API under JOBS jobs (1000)
	PRAVAH_CHAOS_S=$(CHAOS) $(BIN)/pytest tests/e2e/test_chaos.py --timeout=0
	PRAVAH_API_CHAOS_JOBS=$(JOBS) $(BIN)/pytest tests/e2e/test_api_chaos.py --timeout=0 -s

.PHONY: scale
scale: build-rust servers ## work on ENTRIES entries (10 million), FILES files (1 million), OBJECTS objects (20,000)
	PRAVAH_SCALE=$(ENTRIES) PRAVAH_SCALE_FILES=$(FILES) $(BIN)/pytest tests/e2e/test_scale.py --timeout=0 -s
	PRAVAH_OBJECTS=$(OBJECTS) PRAVAH_OBJECT_BYTES=$(GIB) $(BIN)/pytest tests/e2e/test_object_round_trip.py --timeout=0 -s
	PRAVAH_OBJECTS_IN_FLIGHT=10000 PRAVAH_LARGE_OBJECTS=10 PRAVAH_OBJECT_BYTES=$(GIB) PRAVAH_OBJECT_MEMORY=$(GIB) \
		$(BIN)/pytest tests/e2e/test_object_memory.py --timeout=0 -s

.PHONY: fuzz
fuzz: ## fuzz what reads bytes of strangers, each target for FUZZ seconds (60)
	@scripts/fuzz.sh $(TARGET) $(FUZZ)

.PHONY: lint
lint: setup ## check style, types, layers, licences and generated files
	@scripts/lint.sh

.PHONY: bench
bench: build-rust servers ## measure against the peers and write docs/benchmarks.md
	@$(BIN)/python -m benchmarks --row $(ROW) --scale $(SCALE)

.PHONY: docs
docs: setup ## regenerate what the docs take from the code
	@$(BIN)/python scripts/diagram.py --write
	@$(BIN)/python -m pravah.registry

.PHONY: image
image: ## build the container image, by docker, podman or buildah
	@scripts/image.sh

.PHONY: clean
clean: ## remove everything that was built
	rm -rf .venv .cache .pdm-build .pdm-python dist pravah_core/target src/pravah/_core*.so
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find app benchmarks scripts src tests -name __pycache__ -prune -exec rm -rf {} +
