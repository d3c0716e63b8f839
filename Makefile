.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: setup
setup: ## install everything into .venv, with the Rust core in its dev profile
	@scripts/setup.sh dev

.PHONY: build-rust
build-rust: ## build and install the Rust core, optimised for speed
	@scripts/setup.sh release
