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

.PHONY: help run stop test check faults bench profile bench-police bench-rules judgement train clean format lock contracts schemathesis dashboards

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: $(RUN_STAMP) ## start everything here and play a morning at the counters (DEMO=0 skips it; KAFKA=apache KAFKA_BROKERS=3; OPS=1)
	@exec $(BIN)/python -m deploy.local.run

stop: ## stop a run of this checkout that was left behind
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m deploy.local.stop; fi

test: $(DEV_STAMP) ## pass every test on real parts (T=tests/unit for some, KAFKA=apache for Apache Kafka)
ifeq ($(T),)
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests --ignore tests/e2e --ignore tests/docs/test_pages.py
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/docs/test_pages.py tests/e2e
else
	@exec $(BIN)/python -m pytest $(T)
endif

check: $(DEV_STAMP) ## ruff, mypy, import rules, contract drift, migrations that hold nobody up
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/lanjie contracts check
	@$(BIN)/lanjie metrics check
	@$(BIN)/python -m deploy.grafana check
	@$(BIN)/python -m tests.migrations

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

schemathesis: $(DEV_STAMP) ## walk both doors of a run with all that their documents allow and forbid (ARGS='--examples 500 --seed 7')
	@exec $(BIN)/python -m tests.doors $(ARGS)

contracts: $(RUN_STAMP) ## write the generated contracts and the page of metrics anew
	@$(BIN)/lanjie contracts write
	@$(BIN)/lanjie metrics write

dashboards: $(RUN_STAMP) ## write the Grafana dashboards anew
	@$(BIN)/python -m deploy.grafana write

format: $(DEV_STAMP) ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean: stop ## forget the data of `make run` (the environment stays)
	@rm -rf .run && echo "forgot .run"

LOCK := $(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: $(DEV_STAMP) ## resolve and lock the requirements anew
	@$(LOCK) --upgrade --extra local -o requirements.txt pyproject.toml
	@$(LOCK) --upgrade --extra local --extra dev -o requirements-dev.txt pyproject.toml
	@$(LOCK) --extra otel --constraint requirements-dev.txt -o requirements-run.txt pyproject.toml
	@$(LOCK) --only-build-deps --build-deps-for wheel --constraint requirements-dev.txt -o requirements-build.txt pyproject.toml
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
