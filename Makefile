# Each target does all of its own set-up: python3 (3.11 or newer) with venv and pip, make, and a package index.
PYTHON ?= python3
BIN := .venv/bin

unexport PYTHONDONTWRITEBYTECODE  # tests start many processes, which read the same modules

.PHONY: run test assure soak bench gpu clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable . --group dev
	$(BIN)/python -m compileall -q compiler dialects grammar passes runtime src/flowc/cli  # as an installed package has it
	touch $@

run: .venv/ready
	$(BIN)/flowc run examples/ask_docs/ask_docs.flow question="How are default parameter values evaluated?"

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	{ $(BIN)/lint-imports && $(BIN)/mypy; } & types=$$!; \
	$(BIN)/python -m pytest -q -n 2 --dist worksteal; tests=$$?; \
	wait $$types && exit $$tests  # each is one process: beside the tests it costs half as much

.venv/assure: .venv/ready
	$(BIN)/python -m pip install --quiet --group assure || echo "atheris is not to be had here: fuzzing goes unguided"
	touch $@

assure: .venv/assure  # ASSURE_SECONDS (600) bounds it, ASSURE_SEED seeds it, LEDGER=1 adds it to the ledger
	$(BIN)/python -m tests.assurance $(if $(LEDGER),--ledger)

.venv/bench: .venv/ready
	$(BIN)/python -m pip install --quiet langgraph || echo "LangGraph is not to be had here: its columns stay empty"
	touch $@

soak: .venv/ready
	FLOWC_HYPOTHESIS=long FLOWC_EXAMPLES=20 $(BIN)/python -m pytest -q -n 2 --dist worksteal --timeout 3600

bench: .venv/bench
	$(BIN)/python -m benchmarks $(if $(PEERS),--peers $(PEERS))

gpu: .venv/ready
	extra=$$($(BIN)/python -m benchmarks.gpu.card); \
	test -z "$$extra" || $(BIN)/python -m pip install --quiet --editable ".[$$extra]"
	$(BIN)/python -m benchmarks.gpu $(if $(PEERS),--peers $(PEERS))

clean:
	rm -rf .venv build dist *.egg-info
