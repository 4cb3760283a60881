# make demo: venv, install, ERM and CmIR on synthetic data, report.   make test: the same, then the whole test suite.
# make check: lint, types, import contracts, documentation.   make benchmark CORPORA=DIR: every published table and the report page.
# Recipes run again without network once installed.
PYTHON ?= python3
# Where the CPU build of PyTorch lives for machines whose own index has only CUDA builds.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet -c constraints.txt

CORPORA ?=

.PHONY: demo test check docs benchmark clean
.DELETE_ON_ERROR:

demo: .venv/.installed
	$(PY) -m deconfound.cli demo --out demo

test: demo .venv/.installed-test
	$(PY) -m pytest -n 2

check: .venv/.installed-check docs
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m basedpyright
	.venv/bin/lint-imports --no-logo --no-cache

docs: .venv/.installed-check
	$(PY) -m mkdocs build --strict --quiet

benchmark: .venv/.installed
	$(PY) benchmarks/publish.py $(if $(CORPORA),--corpora '$(CORPORA)')

clean:
	rm -rf .venv demo site

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "deconfound needs Python 3.11 or newer; run 'make PYTHON=python3.12 ...'" >&2; exit 2; }
	$(PYTHON) -m venv .venv

# PyTorch first and by itself: the constraint names its CPU build, which a plain index does not have.
.venv/.installed: pyproject.toml constraints.txt | $(PY)
	$(PIP) --no-deps torch 2>/dev/null || $(PIP) --no-deps --index-url $(TORCH_INDEX) torch
	$(PIP) -e '.[data]'
	touch $@

.venv/.installed-test: .venv/.installed
	$(PIP) -e '.[test]'
	touch $@

.venv/.installed-check: .venv/.installed-test
	$(PIP) -e '.[test,lint,docs]'
	touch $@
