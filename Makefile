# callboard: `make demo` shows it, `make test` proves it. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ENGINE := build/native/.built

.PHONY: help demo test check fix bench faults peers soak overload viewers recovery lock native generate audit sbom up down clean
help:           ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) $(ENGINE)  ## the embedded stack on a real bank's day, as if it were today
	$(BIN)/callboard up

test: $(READY) $(ENGINE)  ## lint, types, import rules and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto

check: $(READY)  ## lint, types and import rules only
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

fix: $(READY)  ## mend what the linters can mend
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: $(READY) $(ENGINE)  ## speed, as ratios measured in one run
	$(BIN)/python -m bench

peers: $(READY) $(ENGINE)  ## the same job by callboard, Flink, Bytewax and others, each in an environment of its own
	$(BIN)/python -m bench.peers

faults: $(READY) $(ENGINE)  ## break a whole callboard on Apache Kafka in many ways, see docs/faults.md
	$(BIN)/python -m tests.faults $(or $(SEED),1-20) --seconds $(or $(SECONDS),60) $(if $(SEED),,--keep)

soak: $(READY) $(ENGINE)  ## an hour of a 2,000-agent centre on Apache Kafka: what grows, see docs/load.md
	$(BIN)/python -m tests.load.soak --minutes $(or $(MINUTES),60)

overload: $(READY) $(ENGINE)  ## ten times what the system can do for a minute, then until all is read
	$(BIN)/python -m tests.load.overload

viewers: $(READY) $(ENGINE)  ## 300 viewers of one board, 20 of whom never read
	$(BIN)/python -m tests.load.viewers

recovery: $(READY) $(ENGINE)  ## size of checkpoints and time to be back, for 2,000 and 48,000 agents
	$(BIN)/python -m tests.load.recovery

lock: $(READY)  ## pin all dependencies anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --generate-hashes \
	  --no-emit-index-url --extra test pyproject.toml -o requirements.lock

native: $(ENGINE)  ## compile the engine, where there is a C compiler

generate: $(READY)  ## write dashboards, alert rules and what Kubernetes takes of them anew
	$(BIN)/python -m dashboards
	$(BIN)/python deploy/kubernetes/rules.py
	$(BIN)/python deploy/kafka/generate.py

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "callboard needs Python 3.11 or newer; run make PYTHON=python3.12, say"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The same source compiled by mypyc; without a C compiler the engine runs as plain Python.
$(ENGINE): $(READY) $(wildcard pipeline/engine/*.py)
	@$(BIN)/python -m pipeline.native

# Both have an environment of their own: what they are made with is no part of what is audited.
AUDIT := build/audit
audit: $(AUDIT)/.ready  ## known vulnerabilities of the locked dependencies; fails, too, if nobody could be asked
	$(AUDIT)/bin/python deploy/audit/audit.py requirements.lock

sbom: $(AUDIT)/.ready  ## the locked dependencies as CycloneDX, in build/sbom.cdx.json
	$(AUDIT)/bin/python deploy/audit/sbom.py pyproject.toml requirements.lock build/sbom.cdx.json

$(AUDIT)/.ready: deploy/audit/tools.lock
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r deploy/audit/tools.lock
	@touch $@

up:             ## the whole system in containers: Kafka, ClickHouse, Prometheus, Grafana, all roles
	deploy/secrets/make.sh
	docker compose build door
	docker compose up --detach

down:           ## stop the containers; their data stay
	docker compose --profile simulate down

clean:          ## remove what was built; the demo's data in .callboard stays
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
