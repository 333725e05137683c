# make demo   a trained, evaluated, visualised face model on synthetic data, on a CPU, in minutes
# make test   the tests
# make lint   style, format and types
# All of them first make .venv with the tested versions (constraints.txt), once.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: setup demo test lint clean

setup: $(INSTALLED)

$(INSTALLED): setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" scripts/demo/face.sh

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf .venv data/synthetic_face work_dirs/demo_face
