# make demo: the dashboard with a live training run. make test: everything. make help lists the rest.
PORT ?= 8501
RUNS ?= runs
REPEAT ?= 3
BIN := .venv/bin
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup dev demo pipeline test check mutants coverage bench pages screenshots metrics-doc
help:
	@echo "make demo       dashboard at http://127.0.0.1:$(PORT) and the quickstart training beside it"
	@echo "make pipeline   the quickstart without the browser"
	@echo "make test       install what tests need, then run all of them"
	@echo "make check      ruff, pyright and the quick tests"
	@echo "make mutants    break the mathematics on purpose and see which test notices"
	@echo "make coverage   simulate votes with a known truth: do the intervals hold it as often as they say?"
	@echo "make bench      ours against transformers and TRL: the same work in turn, time and memory"
	@echo "make pages      how long the pages take: a run of a million steps, a hundred runs with 100,000 votes"
	@echo "make screenshots the pictures of the README and the docs, which the browser's journeys take on their way"
	@echo "make setup      .venv with the pinned packages"

setup:
	@scripts/setup.sh

dev:
	@scripts/setup.sh --dev

demo: setup
	@$(BIN)/rlhf dashboard --run-root $(RUNS) --port $(PORT) --train configs/quickstart.yaml

pipeline: setup
	@$(BIN)/rlhf pipeline configs/quickstart.yaml --fetch --set run_root=$(RUNS)

test: dev
	@scripts/system-packages.sh
	@$(BIN)/rlhf models fetch
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@RLHF_NEED_POSTGRESQL=1 $(PYTEST)

check: dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(PYTEST) -m "not slow and not real_model and not browser"

mutants: dev
	@$(BIN)/python scripts/mutants.py

coverage: setup
	@$(BIN)/python -m benchmarks.coverage

bench: setup .venv-peers/installed
	@$(BIN)/rlhf models fetch
	@$(BIN)/python -m benchmarks.run --repeat $(REPEAT); missed=$$?; $(BIN)/python -m benchmarks.accuracy && exit $$missed

pages: setup
	@$(BIN)/python -m benchmarks.pages

screenshots: dev
	@scripts/system-packages.sh
	@RLHF_PICTURES=docs/images $(BIN)/pytest tests/browser

.venv-peers/installed: benchmarks/requirements-peers.txt
	@$${PYTHON:-python3} -m venv .venv-peers
	@.venv-peers/bin/pip install --disable-pip-version-check --quiet $$(grep '^torch==' $<)
	@.venv-peers/bin/pip install --disable-pip-version-check --quiet -r $<
	@touch $@

metrics-doc: setup
	@$(BIN)/python -m rlhf_core.runs.metrics > docs/metrics.md
