# make demo: venv, install, ERM and CmIR on synthetic data, report.   make test: the same, then the whole test suite.
# make check: lint, types, import contracts, documentation.   make unit: the fast tests alone, under two minutes.
# make mutants: how many small errors in the core the tests catch; takes long, so MUTANTS='...' picks some.
# make benchmark CORPORA=DIR: every published table and the report page.   make dist: what is published.
# Recipes run again without network once installed.
PYTHON ?= python3
# Where the CPU build of PyTorch lives for machines whose own index has only CUDA builds.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
LOWEST_TORCH := torch==2.11.0+cpu
VENV ?= .venv
# Versions of what is installed; `make environment` also takes constraints-min.txt.
CONSTRAINTS ?= constraints.txt
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip --disable-pip-version-check install --quiet
PIP := $(INSTALL) -c $(CONSTRAINTS)

CORPORA ?=
# Tests of single functions and modules: no training runs, no subprocesses, no browser.
UNIT := $(addprefix tests/,augmentations causal corruptions data datasets evaluation extraction io nn objectives penalties statistics \
  test_architecture.py test_corruption.py test_registry.py)

.PHONY: demo test unit mutants check check-code docs benchmark dist environment clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(PY) -m deconfound.cli demo --out demo

test: demo $(VENV)/.installed-test
	$(PY) -m pytest -n 2

unit: $(VENV)/.installed-test
	$(PY) -m pytest -n 2 -m 'not slow' $(UNIT)

# Names of mutants such as 'deconfound.objectives.risks*'; all of the core if empty.
MUTANTS ?=
mutants: $(VENV)/.installed-test
	$(PIP) -e '.[mutants]'
	OMP_NUM_THREADS=1 $(VENV)/bin/mutmut run $(MUTANTS)
	$(VENV)/bin/mutmut results

check: check-code docs

check-code: $(VENV)/.installed-check
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m basedpyright
	$(VENV)/bin/lint-imports --no-logo --no-cache

docs: $(VENV)/.installed-check
	$(PY) -m mkdocs build --strict --quiet

benchmark: $(VENV)/.installed
	$(PY) benchmarks/publish.py $(if $(CORPORA),--corpora '$(CORPORA)')

dist: $(VENV)/.installed-test
	$(PY) -c 'from setuptools.build_meta import build_sdist, build_wheel; build_sdist("dist"); build_wheel("dist")'

environment: $(VENV)/.installed-test

clean:
	rm -rf .venv .venv-* build demo dist mutants site

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "deconfound needs Python 3.11 or newer; run 'make PYTHON=python3.12 ...'" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# PyTorch first and by itself: its CPU build is not on every index, and a CUDA build would bring gigabytes. If the CPU
# build of the lowest version cannot be installed, the pinned version takes its place.
$(VENV)/.installed: pyproject.toml constraints.txt $(CONSTRAINTS) | $(PY)
	@for build in $(if $(filter constraints-min.txt,$(CONSTRAINTS)),'$(LOWEST_TORCH)') '-c constraints.txt torch'; do \
	  $(INSTALL) --no-deps $$build 2>/dev/null && exit; \
	  $(INSTALL) --no-deps --index-url $(TORCH_INDEX) $$build && exit; \
	done; exit 1
	$(PIP) -e '.[data]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) -e '.[test]'
	touch $@

$(VENV)/.installed-check: $(VENV)/.installed-test
	$(PIP) -e '.[test,lint,docs]'
	touch $@
