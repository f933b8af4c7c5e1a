# lanjie: everything a developer or a newcomer types. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.requirements
DEV_STAMP := $(VENV)/.requirements-dev
BENCH_STAMP := $(VENV)/.requirements-bench
PIP := $(BIN)/pip --disable-pip-version-check --quiet
T ?=

.PHONY: help run stop test check faults bench profile bench-police bench-rules judgement train clean format lock contracts

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: $(RUN_STAMP) ## start everything here and play a morning at the counters (DEMO=0 skips it; KAFKA=apache KAFKA_BROKERS=3)
	@exec $(BIN)/python -m deploy.local.run

stop: ## stop a run of this checkout that was left behind
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m deploy.local.stop; fi

test: $(DEV_STAMP) ## pass every test on real parts (T=tests/unit for some, KAFKA=apache for Apache Kafka)
ifeq ($(T),)
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests --ignore tests/e2e
	@$(BIN)/python -m pytest tests/e2e
else
	@exec $(BIN)/python -m pytest $(T)
endif

check: $(DEV_STAMP) ## ruff, mypy, import rules, contract drift
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/lanjie contracts check

faults: $(DEV_STAMP) ## kill, cut and poison a run on Apache Kafka, and check that nothing is lost (TEST=T1 SEED=7 SIZE=long)
	@exec $(BIN)/python -m tests.faults

bench: $(BENCH_STAMP) ## measure the chain beside the floor, then a long run (ARGS=--write: into docs/performance.md)
	@exec $(BIN)/python -m tests.bench.run $(ARGS)

profile: $(BENCH_STAMP) ## say where each service's processor time goes (ARGS=--write: into docs/performance.md)
	@exec $(BIN)/python -m tests.bench.profile $(ARGS)

bench-police: $(DEV_STAMP) ## measure deadlines, webhooks, the alert stream, and torture the ledger (several minutes)
	@$(BIN)/python -m tests.bench.deadlines
	@$(BIN)/python -m tests.bench.alerts
	@$(BIN)/python -m tests.bench.stream
	@$(BIN)/python -m tests.bench.torture

bench-rules: $(BENCH_STAMP) ## compare 100 rules with other rule engines (ARGS='--json FILE', ARGS=--write)
	@exec $(BIN)/python -m tests.bench.rules $(ARGS)

judgement: $(DEV_STAMP) ## measure how well the reference pack judges (docs/judgement.md)
	@exec $(BIN)/python -m tests.corpus.measure

train: $(DEV_STAMP) ## train the text model of the reference pack
	@exec $(BIN)/python -m tests.corpus.train

contracts: $(RUN_STAMP) ## write the generated contracts anew
	@$(BIN)/lanjie contracts write

format: $(DEV_STAMP) ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean: stop ## forget the data of `make run` (the environment stays)
	@rm -rf .run && echo "forgot .run"

LOCK := $(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: $(DEV_STAMP) ## resolve and lock the requirements anew
	@$(LOCK) --upgrade --extra local -o requirements.txt pyproject.toml
	@$(LOCK) --upgrade --extra local --extra dev -o requirements-dev.txt pyproject.toml
	@$(LOCK) --upgrade --extra bench --constraint requirements-dev.txt -o requirements-bench.txt pyproject.toml

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit(f"lanjie needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Name another one: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "could not create $(VENV): the venv module of $(PYTHON) is missing (Debian: apt-get install python3-venv)" >&2; exit 1; }

$(RUN_STAMP): requirements.txt pyproject.toml | $(BIN)/python
	@echo "installing the locked requirements into $(VENV) …"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements.txt
	@PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	@echo "installing the development tools into $(VENV) …"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements-dev.txt
	@touch $@

$(BENCH_STAMP): requirements-bench.txt $(DEV_STAMP)
	@echo "installing the other rule engines into $(VENV) …"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements-bench.txt
	@touch $@
