# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-long check format demo-models wheel clean

# Everything is installed from pinned versions. The stamp remembers which extras are there.
.venv/run: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[plot]'
	touch $@

.venv/all: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,dev]'
	touch .venv/run $@

demo: .venv/run
	$(BIN)/kndb demo --db demo.duckdb

# The models of the tests are too small to gain from threads.
test: .venv/all
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q

test-long: .venv/all
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "long or not long"

# Format, lint, types, import direction.
check: .venv/all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Trains both demo models anew, under 30 minutes each on 2 cores.
demo-models: .venv/all
	$(BIN)/python -m kndb_ingest.demo.train masked
	$(BIN)/python -m kndb_ingest.demo.train causal

wheel: .venv/all
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache
