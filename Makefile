# Everything from a clean clone, with python3 and make. `make demo` shows it, `make test` proves it.
.PHONY: demo test lint proto clean

BIN := .venv/bin

$(BIN)/ready: pyproject.toml
	python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(BIN)/ready
	$(BIN)/gradproof demo

test: lint
	$(BIN)/pytest

lint: $(BIN)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd proto && ../$(BIN)/buf lint

proto: $(BIN)/ready
	$(BIN)/python proto/generate.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
