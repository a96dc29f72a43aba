PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install check test demo bench clean

install: $(VENV)/.installed

$(VENV)/.core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	# Bytecode and parsed facts, once, also where Python is told to write none as it goes.
	PYTHONDONTWRITEBYTECODE= $(BIN)/advisor ask 'что такое TTFT' >/dev/null
	touch $@

$(VENV)/.installed: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

demo: $(VENV)/.core
	$(BIN)/advisor optimize demo --workload demo --objective throughput --budget 14m --naive

bench: install
	for name in $$(ls bench/*.py | xargs -n1 basename | sed 's/\.py$$//' | grep -v '^_'); do $(BIN)/python -m bench.$$name; done

clean:
	rm -rf $(VENV) build *.egg-info
