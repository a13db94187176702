# Set-up is `make demo` or `make test`; both make the virtual environment they need.
# The first Python on the PATH that runs and is of a version we test; the first two have wheels of everything.
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3.14 python3 python; do \
	$$p -c '$(SUITS)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONSTRAINTS := tests/constraints.txt
# Of 13,000 installed modules most are never imported: each is compiled when it is, once, and that is kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install install-newest demo test test-newest test-resolution test-ray test-k2 python311 lint bench clean

install: $(STAMP)

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@test -n '$(PYTHON)' || { echo 'Python 3.11 to 3.14 is needed; give one as make PYTHON=/path/to/python3' >&2; exit 2; }
	@$(PYTHON) -c '$(SUITS)' || { echo '$(PYTHON) is not Python 3.11 to 3.14' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $(STAMP)

SAMPLE := data/sample
DEMO := runs/demo

demo: $(STAMP)
	@echo; echo '1. The packaged model and weights, nothing else given:'
	rm -rf $(DEMO) && mkdir -p $(DEMO)
	$(BIN)/python -m pipelines.rescore --nbest $(SAMPLE)/test.json --out $(DEMO)/test.default.json
	@echo; echo '2. A language model of the domain, weights tuned on the development list:'
	$(BIN)/python -m pipelines.train ngram --text $(SAMPLE)/train.txt --out $(DEMO)/harbour --order 4
	$(BIN)/python -m pipelines.rescore --nbest $(SAMPLE)/test.json --dev $(SAMPLE)/dev.json \
		--lm default --lm $(DEMO)/harbour --out $(DEMO)/test.rescored.json --json $(DEMO)/result.json
	@echo; echo '3. Which model is worth it, as a page for the browser:'
	$(BIN)/python -m pipelines.compare --test $(SAMPLE)/test.json --dev $(SAMPLE)/dev.json \
		--lm default --lm $(DEMO)/harbour --report $(DEMO)/report.html
	@echo; echo '4. From audio to a rescored transcript:'
	$(BIN)/python -m pipelines.decode --audio $(SAMPLE)/audio --model $(SAMPLE)/model --nbest 50 \
		--out $(DEMO)/heard.json
	$(BIN)/python -m pipelines.rescore --nbest $(DEMO)/heard.json --lm default --out $(DEMO)/heard.rescored.json
	@echo; echo 'The report of step 3: $(DEMO)/report.html'

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Each test runs on one thread, so there is work for every core. Files are taken in the order of tests/conftest.py.
test: lint
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# The other end: the newest Python found here, on the PATH or among pyenv's, and the newest torch that is tested, in an
# environment of their own (6 GB). NEWEST_TESTS=tests/lm asks for some of the tests.
NEWEST_SUITS := import sys; sys.exit(not (3, 13) <= sys.version_info[:2] <= (3, 14))
PYENVS := $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions
NEWEST_PYTHON ?= $(shell for p in python3.14 python3.13 $(PYENVS)/3.14*/bin/python3 $(PYENVS)/3.13*/bin/python3; do \
	$$p -c '$(NEWEST_SUITS)' 2>/dev/null && echo $$p && break; done)
VENV_NEWEST := .venv-newest
STAMP_NEWEST := $(VENV_NEWEST)/.installed
NEWEST := tests/newest.txt
NEWEST_TESTS ?= tests/acoustic tests/evaluation tests/lm tests/rescoring tests/text tests/pipelines/test_rescore.py

# torch names its CUDA libraries by exact version, so those of the other torch are left out.
$(STAMP_NEWEST): pyproject.toml $(CONSTRAINTS) $(NEWEST)
	@test -n '$(or $(NEWEST_PYTHON),$(PYTHON))' || { echo 'Python 3.11 to 3.14 is needed' >&2; exit 2; }
	$(or $(NEWEST_PYTHON),$(PYTHON)) -m venv $(VENV_NEWEST)
	$(VENV_NEWEST)/bin/python -m pip install --quiet --upgrade pip
	grep -vE '^(torch|triton|nvidia-|cuda-)' $(CONSTRAINTS) > $(VENV_NEWEST)/constraints.txt
	$(VENV_NEWEST)/bin/python -m pip install --quiet --no-compile --constraint $(VENV_NEWEST)/constraints.txt \
		--constraint $(NEWEST) --editable '.[dev]'
	@touch $(STAMP_NEWEST)

install-newest: $(STAMP_NEWEST)

test-newest: $(STAMP_NEWEST)
	$(VENV_NEWEST)/bin/python -m pytest -n auto --dist loadfile $(NEWEST_TESTS)

# Every Python that pyproject.toml admits finds wheels of every dependency; PYTHONS=3.14 asks for one.
test-resolution: $(STAMP)
	$(BIN)/python -m tests.resolution $(PYTHONS)

# Ray takes 360 MB and a minute to install, so `make test` skips what needs it.
test-ray: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[dev,ray]'
	$(BIN)/pytest tests/rescoring/test_stage.py tests/rescoring/test_cluster_ray.py

# k2 needs a torch of its own, and so an environment of its own (Python 3.11; 3.5 GB).
PYTHON311 ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV_K2 := .venv-k2
STAMP_K2 := $(VENV_K2)/.installed
K2_TESTS := tests/lattice/k2

$(STAMP_K2): $(K2_TESTS)/requirements.txt $(K2_TESTS)/k2.txt
	@test -n '$(PYTHON311)' || { echo 'k2 needs Python 3.11; give one as make PYTHON311=/path/to/python3.11' >&2; exit 2; }
	$(PYTHON311) -m venv $(VENV_K2)
	$(VENV_K2)/bin/python -m pip install --quiet pip==23.2.1  # later ones do not know the tag of k2's wheel
	$(VENV_K2)/bin/python -m pip install --quiet --no-compile --no-deps --requirement $(K2_TESTS)/requirements.txt
	$(VENV_K2)/bin/python -m pip install --quiet --no-compile --no-deps --require-hashes --requirement $(K2_TESTS)/k2.txt
	@touch $(STAMP_K2)

python311:
	@echo '$(PYTHON311)'

test-k2: $(STAMP_K2)
	PYTHONPATH=.:tests/lattice $(VENV_K2)/bin/python -m pytest $(K2_TESTS) --noconftest -p no:cacheprovider

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf $(VENV) $(VENV_NEWEST) $(VENV_K2) .mypy_cache .pytest_cache .ruff_cache dist
