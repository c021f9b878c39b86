# A fresh machine needs Python 3.11 or newer and make. Everything is made in the checkout, but for the data of
# the servers where root runs them or its path is too long for a socket: /var/tmp/sessrec-*.
#
#   make shop           the example shop, complete, on http://127.0.0.1:8000/ (SHOP_PORT=8001 for another port)
#   make test           lint and all tests; `make test TESTS=tests/stack` for some
#   make test-fast      lint and the tests that take neither a browser, nor a whole program, nor a network's fit
#   make test-matrix    the tests that need no torch, on each Python and Django that noxfile.py names;
#                       ONLY="tests(python='3.13', django='6.1')" for one of them
#   make test-recipes   the page about django-oscar, in a new oscar shop (.venv-oscar)
#   make lint           ruff, mypy, import contracts
#   make docs           the documentation into build/site/
#   make messages       strings of the code into the translations' .po files (needs GNU gettext)
#   make bench-models   DATA=folder MODELS=popularity,neighbours SEEDS=1 OUT=build/models.json
#   make bench-leak     DATA=folder: how often a batch of Diginetica's test cases holds its own answers
#   make bench-capture  ROWS=100000 OUT=build/capture.json: ROWS that the table holds before, for its growth
#   make bench-serving  OUT=build/serving.json
#   make bench-relevance DATA=folder MODELS=neighbours OUT=build/relevance.json: is every intent served, is the
#                       basket understood
#   make bench-poison   DATA=folder OUT=build/poison.json: how far bots can push an item
#   make bench-bounds   DATA=folder: what the bounds on bots cost where there are none
#   make bench-scale    OUT=build/scale.json: cost per event, training, page and query as a shop grows
#   make bench-experiments OUT=build/experiments.json: do the statistics of experiments keep their promises
#   make bench-kpis     OUT=build/kpis.json: the reports of a year with 1 and 10 million lists
#   make bench-neighbourly OUT=build/neighbourly.json: a fit beside a loaded shop, and what each costs the other
#   make bench-peers    DATA=folder OUT=build/peers.json: beside other libraries, which go into .venv-peers
#   make chaos          OUT=build/chaos.json: kills everything in turn, under load
#                       benchmarks/README.md says what each answers and needs
#   make clean          remove all of it, the shop's data too

# 3.11 first: for it pip finds a build of torch without CUDA.
PYTHON := $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
NEWER_PIP := $(INSTALL) 'pip>=25.1' # the one that Python 3.11 brings knows no dependency groups
COMPILED := hatch_build.py $(wildcard django_sessrec/locale/*/LC_MESSAGES/*.po) \
	$(wildcard django_sessrec/recsys/kernels/*.c) django_sessrec/recsys/kernels/features.py
TESTS ?= tests
PYTEST := $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
OPTIONS = $(if $(DATA),--data $(DATA)) $(if $(MODELS),--models $(MODELS)) $(if $(SEEDS),--seeds $(SEEDS)) \
	$(if $(ROWS),--rows-before $(ROWS)) $(if $(OUT),--out $(OUT))

.PHONY: shop test test-fast test-matrix test-recipes lint docs messages bench-models bench-leak bench-capture \
	bench-serving bench-poison bench-bounds bench-scale bench-experiments bench-kpis \
	bench-relevance bench-neighbourly bench-peers chaos clean

shop: .venv/shop.stamp
	@$(BIN)/python -m example_shop.stack shop

test: lint
	$(PYTEST) $(TESTS)

test-fast: lint
	$(PYTEST) -m 'not chaos and not e2e and not slow' $(TESTS)

test-matrix: .venv/dev.stamp
	$(BIN)/nox $(if $(ONLY),--session "$(ONLY)") -- $(filter-out tests,$(TESTS))

lint: .venv/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/dev.stamp
	$(BIN)/sphinx-build -q -W --keep-going docs build/site

messages: .venv/dev.stamp
	cd django_sessrec && ../$(BIN)/django-admin makemessages --locale de --locale fr --extension html,md,py \
		--add-location file --no-obsolete --no-wrap

bench-models: BENCHMARK = accuracy
bench-leak: BENCHMARK = accuracy.leak
bench-poison: BENCHMARK = poisoning
bench-bounds: BENCHMARK = poisoning.bounds
bench-capture bench-serving bench-scale bench-experiments bench-kpis bench-relevance bench-neighbourly: BENCHMARK = \
	$(@:bench-%=%)
bench-models bench-leak bench-poison bench-bounds bench-capture bench-serving bench-scale bench-experiments \
	bench-kpis bench-relevance bench-neighbourly: .venv/dev.stamp
	$(BIN)/python -m benchmarks.$(BENCHMARK) $(OPTIONS)

bench-peers: .venv/dev.stamp .venv-peers/stamp
	$(BIN)/python -m benchmarks.peers $(OPTIONS)

chaos: .venv/dev.stamp
	$(BIN)/python -m benchmarks.chaos $(OPTIONS)

test-recipes: .venv/dev.stamp .venv-oscar/stamp
	$(BIN)/pytest tests/docs/test_oscar.py

clean:
	$(PYTHON) -m example_shop.stack clean
	rm -rf .venv .venv-oscar .venv-peers .nox build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -f $(addprefix django_sessrec/recsys/kernels/,kernels.so kernels.dylib kernels.dll features.h)
	rm -f django_sessrec/locale/*/LC_MESSAGES/*.mo

.venv/shop.stamp: pyproject.toml $(COMPILED) | $(BIN)/pip
	@echo "Installing into .venv: a minute or two the first time"
	@$(NEWER_PIP)
	@$(INSTALL) --group torch -e '.[shop]'
	@touch $@

.venv/dev.stamp: pyproject.toml $(COMPILED) | $(BIN)/pip
	@echo "Installing into .venv: a minute or two the first time"
	@$(NEWER_PIP)
	@$(INSTALL) --group dev -e '.[parquet,shop]'
	@touch $@ .venv/shop.stamp

# Oscar brings the newest Django that it supports: 6 where there is Python 3.12.
NEWEST := $(shell for python in python3.13 python3.12 python3.11; do $$python -c '' 2>/dev/null && echo $$python && break; done)
.venv-oscar/stamp: pyproject.toml | $(BIN)/pip
	@echo "Installing django-oscar into .venv-oscar: a minute or two the first time"
	@$(NEWEST) -m venv .venv-oscar
	@.venv-oscar/bin/python -m pip install --quiet --disable-pip-version-check . 'django-oscar>=4.2,<5' sorl-thumbnail 'psycopg[binary]'
	@touch $@

.venv-peers/stamp: benchmarks/peers/requirements.txt | $(BIN)/pip
	@echo "Installing the peers into .venv-peers: a minute or two the first time"
	@$(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and no python3 here is: install python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "On Debian and Ubuntu: apt install python3-venv"; exit 1; }
