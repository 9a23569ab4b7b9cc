# Thin: each target runs one program that can be run by hand as well. 'make help' lists them.
.DEFAULT_GOAL := help
.PHONY: help setup servers demo demo-smoke demo-down recording lint fmt build check test bench lock
.PHONY: cluster-up cluster-down cluster-status test-cluster bench-cluster bench-first-run

# A process that compiles all that it imports anew costs a second; bytecode is ignored by git.
unexport PYTHONDONTWRITEBYTECODE

PYTHON := .venv/bin/python
BY_FILE := --dist loadfile --no-loadscope-reorder
PARALLEL := -n 2 $(BY_FILE)
PATIENT := -n 3 $(BY_FILE)  # for tests that wait more than they work, two cores are enough for three

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv from the hashed lock file (nothing to do when that is done)
	@deploy/embedded/setup.sh

servers: setup ## build the servers into the cache (minutes the first time)
	@$(PYTHON) -m deploy.embedded build

demo: setup ## start the stack, run the demo, stay up until Ctrl+C (EXECUTOR=kubernetes: after cluster-up)
	@$(PYTHON) -m deploy.demo run $(if $(EXECUTOR),--executor $(EXECUTOR))

demo-smoke: setup ## the same without waiting; fails if anything fails
	@$(PYTHON) -m deploy.demo smoke $(if $(EXECUTOR),--executor $(EXECUTOR))

demo-down: setup ## stop the demo's stack (PURGE=1 deletes its data too)
	@$(PYTHON) -m deploy.demo down $(if $(PURGE),--purge)

recording: setup ## play the first five minutes of two people in tmux, and write docs/first-five-minutes.md
	@$(PYTHON) -m deploy.recording

lint: setup ## style, types, import contracts, own lints
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@$(PYTHON) -m tests.lints

fmt: setup ## format the code
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

build: setup ## build the wheels of both distributions into dist/
	@$(PYTHON) -m hatchling build --target wheel --directory $(CURDIR)/dist
	@cd sdk && ../$(PYTHON) -m hatchling build --target wheel --directory $(CURDIR)/dist

check: lint ## lint and unit tests, in under a minute
	@$(PYTHON) -m pytest -q $(PARALLEL) tests/unit tests/architecture

test: setup servers ## everything but the cluster, on real servers
	@$(PYTHON) -m pytest -q $(PARALLEL) -m "not cluster"

cluster-up: setup ## start a real Kubernetes node on this machine (needs root; minutes the first time)
	@$(PYTHON) -m deploy.dev_cluster up

cluster-down: setup ## stop that node; nothing of it stays but its data (PURGE=1 deletes that too)
	@$(PYTHON) -m deploy.dev_cluster down $(if $(PURGE),--purge)

cluster-status: setup ## show the node's components and whether each is ready
	@$(PYTHON) -m deploy.dev_cluster status

test-cluster: setup ## tests on real Kubernetes nodes of their own (needs root)
	@$(PYTHON) -m pytest -q $(PATIENT) -m cluster tests/cluster

bench: setup servers ## measure, and print one JSON object
	@$(PYTHON) -m tests.bench

bench-cluster: setup ## what a step costs beside a bare Job, and thousands in flight (needs root)
	@$(PYTHON) -m tests.bench.cluster

bench-first-run: setup servers ## seconds from Enter to succeeded, beside mlflow run
	@$(PYTHON) -m tests.bench.first_runs

lock: setup ## resolve the dependencies again and pin them with hashes (needs uv on PATH)
	@deploy/embedded/lock.sh
