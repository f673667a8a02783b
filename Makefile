# The few commands of the project; `make` lists them.
# Outside files are fetched by deploy/setup, once, to a folder outside the clone.

PYTHON ?= python3
SETUP := $(PYTHON) deploy/setup/setup.py
# Passed on to the demo, for example: make run ARGS="--data-port 9080 --console-port 9081"
ARGS ?=

# Weir looks for its store's library in the usual places; WEIR_HOME is setup's own.
ifneq ($(WEIR_HOME),)
export WEIR_CHDB ?= $(WEIR_HOME)/libchdb.so
export WEIR_MODELS ?= $(WEIR_HOME)/models
endif

.DEFAULT_GOAL := help
.PHONY: help run test bench compat-vllm profile fuzz scenario setup store-engine llama models test-tools references fmt lint rust

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: rust store-engine llama ## build, then run Weir in front of llama.cpp with a small model
	cargo build --release
	@exec $(PYTHON) deploy/demo/run.py $(ARGS)

# One `cargo test` and not a process per test: tests of one file share a store and an engine.
test: rust setup ## format, lints, build and every test, on real parts
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo build --workspace
	bash tests/fuzz/run.sh 10
	cargo test --workspace

bench: rust store-engine ## overhead of Weir against a plain proxy
	@$(SETUP) apt --for bench
	bash tests/bench/run.sh

compat-vllm: rust store-engine ## compare a real vLLM with Weir in front of it (6 GB, optional)
	cargo build
	@exec $(PYTHON) tests/real/vllm.py $(ARGS)

scenario: rust store-engine ## what critics catch in a document application (a model of 1.1 GB, optional)
	@$(SETUP) scenario-model
	cargo build
	$(PYTHON) tests/scenarios/rag.py --report tests/scenarios/RESULTS.md $(ARGS)
	$(PYTHON) tests/scenarios/rag.py --tiny --report tests/scenarios/RESULTS-tiny.md $(ARGS)

profile: rust store-engine ## where Weir's processor time goes (MEASURE=closed, steady, paced ...)
	bash tests/bench/run.sh --profile $(or $(MEASURE),closed)

fuzz: rust ## fuzz everything that parses foreign bytes
	@$(SETUP) apt --for fuzz
	bash tests/fuzz/run.sh

setup: store-engine llama models test-tools ## fetch everything from outside that run and test need

store-engine: ## fetch the ClickHouse engine of the embedded store
	@$(SETUP) store-engine

llama: ## fetch llama.cpp and a small model
	@$(SETUP) llama

models: ## fetch the small models that critics run in process
	@$(SETUP) models

test-tools: ## fetch the official clients and a browser for the tests
	@$(SETUP) test-tools

references: rust ## write the generated references anew
	WEIR_WRITE_REFERENCES=1 cargo test --package weir-tests --test tidy generated_files_are_current

fmt: rust ## format the code
	cargo fmt --all

lint: rust ## format check and lints; licences too where cargo-deny is installed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny > /dev/null; then cargo deny check; else echo "cargo-deny is not installed: licences unchecked"; fi

rust:
	@command -v cargo > /dev/null || { echo "cargo is missing: install Rust with rustup (https://rustup.rs)"; exit 1; }
