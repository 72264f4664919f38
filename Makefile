# make serve [DIR=/path] [PORT=8000]   serve a site (by default the example site in docs/site)
# make test                            run the tests
# make help                            all targets

PYTHON ?= python3
DIR ?= docs/site
PORT ?= 8000
OPTIMISATION ?= 3
BIN := .venv/bin
# Who has nothing left takes over tests of another: a few take as long as a thousand others.
AT_ONCE := -n 3 --dist worksteal

.PHONY: help serve test test-compiled compiled lint format documents bench stall locust locust-headless clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

serve: .venv/installed ## serve DIR at http://127.0.0.1:PORT
	@exec $(BIN)/flashpy "$(DIR)" --port $(PORT)

# What one of the hundreds of servers has compiled, the others find, whatever the environment says of bytecode.
test test-compiled: export PYTHONDONTWRITEBYTECODE =

test: .venv/installed-test ## run the tests
	$(BIN)/python -m pytest $(AT_ONCE) $(ARGS)

compiled: .venv-compiled/installed-$(OPTIMISATION) ## install flashpy, compiled, in .venv-compiled (needs a C compiler)

test-compiled: .venv-compiled/installed-$(OPTIMISATION) .venv/installed-test ## run the tests over the compiled modules
	cd build/compiled && FLASHPY_TEST_COMPILED=1 $(CURDIR)/$(BIN)/python -m pytest $(AT_ONCE) $(ARGS)

lint: .venv/installed-test ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed-test ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

documents: .venv/installed ## make the man page and the reference anew
	$(BIN)/python -m flashpy manual > docs/flashpy.1
	$(BIN)/python -m flashpy manual --markdown > docs/reference.md

bench: .venv/installed ## compare with nginx in two minutes (needs nginx, wrk and h2load)
	$(BIN)/python -m benchmarks.peers --quick

stall: .venv/installed ## the stall test: a hot file beside disk-bound clients (needs root, nginx, a loop device, cgroups)
	$(BIN)/python -m benchmarks.stall

locust: .venv/installed-locust ## load test with locust's web page
	$(BIN)/python benchmarks/locust/run.py web

locust-headless: .venv/installed-locust ## load test of 30 s with a summary and locust-report.html
	$(BIN)/python benchmarks/locust/run.py headless

clean: ## remove what make has made
	rm -rf .venv .venv-compiled build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "flashpy needs Python 3.11 or later; $(PYTHON) is older (make PYTHON=python3.12 ...)."; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing: apt install python3-venv"; exit 1; }

# Editable, so that what is tested and served is this tree.
.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint,locust]'
	@touch $@ .venv/installed .venv/installed-locust

.venv/installed-locust: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[locust]'
	@touch $@ .venv/installed

# A copy of the tree is compiled, since compiled modules beside the sources would hide what is edited; and compiled anew
# for another OPTIMISATION.
.venv-compiled/installed-$(OPTIMISATION): pyproject.toml $(wildcard flashpy/*.py flashpy/*/*.py flashpy/*/*/*.py helpers/*.py tests/*.py tests/*/*.py)
	rm -rf build/compiled .venv-compiled
	mkdir -p build/compiled
	tar -c --exclude=./.git --exclude='./.venv*' --exclude=./build --exclude='./.*_cache' . | tar -x -C build/compiled
	sed -i 's/opt_level = "3"/opt_level = "$(OPTIMISATION)"/' build/compiled/pyproject.toml
	$(PYTHON) -m venv .venv-compiled
	HATCH_BUILD_HOOK_ENABLE_MYPYC=1 .venv-compiled/bin/python -m pip install --quiet --disable-pip-version-check build/compiled
	@touch $@
