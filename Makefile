# `make serve` installs memapp and serves it; `make test` installs all it needs and runs every test.

PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin

# Debian packages that some tests run for real; where they cannot be installed, those tests are
# skipped and say so.
SYSTEM_PACKAGES := nginx-light gettext-base wget openssl chromium iproute2

.PHONY: serve test check format clean

serve: $(VENV)/.installed
	$(BIN)/flask run --port $(PORT)

test: $(VENV)/.installed-dev system-packages
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST)

# The proof of docs/processes.md at full length: 4 processes write 800 memories each. Minutes.
.PHONY: full-check
full-check: $(VENV)/.installed-dev system-packages
	FULL_CHECK=1 $(BIN)/python -m pytest tests/production/test_proof.py

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed

.PHONY: system-packages
system-packages:
	@sh deploy/install-test-packages $(SYSTEM_PACKAGES)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
