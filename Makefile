# Everything from a clean clone, with python3 and make. `make demo` shows it, `make test` proves it.
.PHONY: demo quick test stress check fuzz chaos soak bench lint pages proofs constraints methods proto clean

BIN := .venv/bin

$(BIN)/ready: pyproject.toml constraints.txt
	python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(BIN)/ready
	$(BIN)/gradproof demo

# Lint, and the tests that take no time: a minute and a half.
quick: lint
	$(BIN)/pytest -n 2 --dist loadfile -m "not stress and not slow"

test: lint
	$(BIN)/pytest -n 2 --dist loadfile

# Servers that are started, ended, killed, flooded and fuzzed, in short: three minutes.
stress: $(BIN)/ready
	$(BIN)/pytest -n 2 --dist loadfile -m stress

# All sweeps whole, a thousand draws for each op, a thousand programs, a thousand random graphs of up to a million elements,
# elements of every array of the real workloads, 20 000 points against mpmath, all shipped proofs anew: hours, each night.
check: $(BIN)/ready
	CHECK_PROOFS=fresh $(BIN)/pytest -n0 tests/verify/proof_cache/test_shipped_proofs.py
	$(BIN)/python -m docs.generator.shipped_proofs --check
	CHECK_SWEEPS=whole CHECK_DRAWS=1000 CHECK_SWEEP=20000 CHECK_GRAPHS=1000 CHECK_PLANTS=4 $(BIN)/pytest -n 2

# A hundred thousand fuzzed requests of every call: a quarter of an hour.
fuzz: $(BIN)/ready
	CHECK_FUZZ=100000 $(BIN)/pytest -q --show-capture=no -m stress tests/e2e/test_fuzz.py

# A hundred processes of servers are killed at random under load: ten minutes.
chaos: $(BIN)/ready
	$(BIN)/python -m tests.e2e.chaos 100

# Two thousand random graphs of all ops, definitions among them that never end, and a million small requests: budgets,
# processes, memory. Two hours.
soak: $(BIN)/ready
	$(BIN)/python -m tests.e2e.soak 2000
	$(BIN)/python -m tests.e2e.steady 1000000

bench: $(BIN)/ready
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.verdicts
	$(BIN)/python -m benchmarks.faults
	$(BIN)/python -m benchmarks.users
	$(BIN)/python -m benchmarks.derivatives

lint: $(BIN)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	cd proto && ../$(BIN)/buf lint

# Pages that are made of the code: docs/rules.md, with the definitions of elementwise ops as text, docs/modules.md, docs/ops and docs/absent.md.
pages: $(BIN)/ready
	$(BIN)/python -m docs.generator.rules_page
	$(BIN)/python -m docs.generator.modules_page
	$(BIN)/python -m docs.generator.ops_pages
	$(BIN)/python -m docs.generator.absent_page

# Methods and functions of tensors, and built-in ops, as source.
methods: $(BIN)/ready
	$(BIN)/python clients/python/generate_client.py

# Versions of all that is installed, for reproducible runs: written anew after a change of pyproject.toml.
constraints: pyproject.toml
	rm -rf .venv
	python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

# Proofs that are shipped with the built-in plugins; what is missing or stale is proved, on two processors.
proofs: $(BIN)/ready
	$(BIN)/python -m docs.generator.shipped_proofs

proto: $(BIN)/ready
	$(BIN)/python proto/generate.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
