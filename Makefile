# rps_bench: `make help` lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= results
STUDY ?= all
STAMP := $(VENV)/.installed
SERVER := .venv-wandb/bin/openwandb

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all test-slurm test-wandb lint types check pareto-plots claims report \
  wandb-sync dashboard studies inference notebooks bench check-gpu bench-sweep bench-reports soak fuzz leak networks docs-tables clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## make .venv and install the package with its development tools, once

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rps_bench needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## train the embedded default sweep, write table and plots under demo/ (minutes)
	$(BIN)/python -m rps_bench experiment=demo results_dir=demo
	$(BIN)/python -m rps_bench.reports demo --only table figures

test: $(STAMP) ## run the tests (minutes)
	$(BIN)/python -m pytest -n auto

test-all: $(STAMP) ## run the slow tests, too (some minutes more)
	$(BIN)/python -m pytest -n auto -m 'slow or not slow'

test-slurm: $(STAMP) ## sweeps on a one-node Slurm of this machine (minutes; needs slurm-wlm and munge)
	$(BIN)/python -m pytest tests/cluster -m slurm

test-wandb: $(STAMP) ## tracking against a W&B-compatible server, openwandb, in .venv-wandb (minutes)
	test -x $(SERVER) || { $(PYTHON) -m venv .venv-wandb && .venv-wandb/bin/pip install -q openwandb==0.5.25; }
	RPS_BENCH_WANDB_SERVER=$(abspath $(SERVER)) $(BIN)/python -m pytest -m wandb_server

lint: $(STAMP) ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## check types
	$(BIN)/mypy

check: lint types test ## everything that has to hold before a commit

pareto-plots: $(STAMP) ## tables and figures of all records under results/ (RESULTS=folder for another)
	$(BIN)/python -m rps_bench.reports $(RESULTS) --only table figures

claims: $(STAMP) ## judge the paper's claims on these records: claims.csv and claims.md
	$(BIN)/python -m rps_bench.reports $(RESULTS) --only claims

report: $(STAMP) ## everything: tables, figures, claims and report.html, one file to read offline
	$(BIN)/python -m rps_bench.reports $(RESULTS)

wandb-sync: $(STAMP) ## send all offline W&B runs of results/ (RESULTS=folder for another)
	$(BIN)/python -m rps_bench.tracking sync $(RESULTS)

dashboard: $(STAMP) ## serve the trackio dashboard of results/ on this machine (RESULTS=folder for another)
	$(BIN)/python -m rps_bench.tracking dashboard $(RESULTS)

studies: $(STAMP) ## check the theory by running it: results/studies (an hour; one: STUDY=load)
	$(BIN)/python -m rps_bench.studies $(STUDY)

inference: $(STAMP) ## time compressed models at inference: results/inference.csv (minutes, machine at rest)
	$(BIN)/python -m rps_bench.inference results_dir=$(RESULTS)

notebooks: $(STAMP) ## execute the notebooks again and keep their outputs
	$(BIN)/python scripts/execute_notebooks.py

bench: $(STAMP) ## time kernels beside a conventional loop: results/benchmarks (12 minutes, machine at rest)
	$(BIN)/python -m scripts.bench

check-gpu: $(STAMP) ## tests and timings that need a GPU, in one call: results/benchmarks (8 minutes)
	$(BIN)/python -m scripts.check_gpu

soak: $(STAMP) ## kill and interrupt a small sweep again and again: is anything lost? (10 minutes)
	$(BIN)/python -m scripts.soak

fuzz: $(STAMP) ## thousands of made-up command lines: a traceback, a hang, a write elsewhere? (10 minutes)
	$(BIN)/python scripts/fuzz.py 4000

leak: $(STAMP) ## whether 200 tiny runs in one process leave memory behind (3 minutes)
	$(BIN)/python scripts/leak.py

bench-sweep: $(STAMP) ## how much of a sweep of 1,000 tiny runs is not training (20 minutes)
	$(BIN)/python scripts/benchmark_sweep.py

bench-reports: $(STAMP) ## time the tables of 10,000 made-up records
	$(BIN)/python scripts/benchmark_reports.py

networks: $(STAMP) ## try every method on widely used networks: results/networks.csv (minutes, 8 GB)
	$(BIN)/python -m scripts.networks

docs-tables: $(STAMP) ## write the tables of the READMEs again, from the files that hold their numbers
	$(BIN)/python -m scripts.documents

clean: ## remove caches and the demo's results; keep .venv, data and results/
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find rps_bench tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
