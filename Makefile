# Foretell's tasks, the same on the desk and in CI. `make demo` and `make test` set up by themselves.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# Builds of torch without CUDA: small. Another index, or a mirror: make setup TORCH_INDEX=URL
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# Seconds of make fuzz.
FUZZ_S ?= 300
# Seconds of make soak.
SOAK_S ?= 600
# Seconds for which make sizing measures each row.
SIZING_S ?= 60
# Further arguments for the command of demo, test, bench or lock: make demo ARGS='--duration 60'
ARGS ?=

VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip -qq --disable-pip-version-check
READY := $(VENV)/.ready
# pyspark is half a gigabyte: an environment of its own.
SPARK := .venv-spark
SPARK_PIP := $(SPARK)/bin/python -m pip -qq --disable-pip-version-check install --no-compile
# Debian keeps daemons where an ordinary user's PATH does not look.
export PATH := $(PATH):/usr/sbin

.PHONY: help setup demo check test test-spark faults soak sizing picture pictures golden dashboards image bench bench-peers fuzz peers lock \
	clean broker java

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment .venv from the pinned requirements
	@echo "ready: $(VENV)/bin/foretell --help"

demo: $(READY) ## a simulated plant with planted faults, and the daemon that finds them (no broker needed)
	@$(VENV)/bin/foretell demo $(ARGS)

check: $(READY) ## format, lint, types, and the rules of the house
	@echo "== format"
	@$(RUN) -m ruff format --quiet --check .
	@echo "== lint"
	@$(RUN) -m ruff check --quiet .
	@echo "== types"
	@$(RUN) -m mypy --no-error-summary
	@echo "== contracts"
	@$(RUN) -m pytest -q tests/contract

test: $(READY) broker ## all tests, those against a real mosquitto included
	@echo "== tests"
	@$(RUN) -m pytest -q -rs -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

test-spark: $(SPARK)/.ready java ## the contract with Spark at length: kills, another number of partitions, a lost worker (half an hour)
	@FORETELL_SPARK=$${FORETELL_SPARK-long} PATH="$(PATH)" $(SPARK)/bin/python -m pytest -q -rs -s tests/spark $(ARGS)

faults: $(READY) broker ## what the loss contract says, at length: kills, power cuts, brokers that go away (half an hour)
	@FORETELL_FAULTS=long $(RUN) -m pytest -q -rs -s tests/faults $(ARGS)

soak: $(READY) broker ## SOAK_S seconds at 1,000 messages a second with fine-tunes: memory, threads, descriptors
	@FORETELL_SOAK_S=$(SOAK_S) $(RUN) -m pytest -q -rs -s tests/faults/test_load.py -k soak $(ARGS)

sizing: $(READY) broker ## memory, cores and writes of a daemon by streams and rate: the figures of docs/sizing.md (15 minutes)
	@FORETELL_SIZING_S=$(SIZING_S) $(RUN) -m pytest -q -rs -s tests/faults/test_sizing.py $(ARGS)

picture: $(READY) ## draw the README's picture anew
	@$(VENV)/bin/foretell simulate --output $(VENV)/plant.csv >/dev/null
	@$(VENV)/bin/foretell replay $(VENV)/plant.csv --stream plant/cold-store/air_temperature --plot docs/episode.png >/dev/null
	@echo "docs/episode.png"

pictures: $(READY) ## take the README's pictures of the status page anew (needs Chromium and mosquitto)
	@FORETELL_PICTURES=write $(RUN) -m pytest -q tests/integration/test_page_in_browser.py

golden: $(READY) ## write the golden /metrics text anew; look at the difference before it is committed
	@FORETELL_GOLDEN=write $(RUN) -m pytest -q tests/unit/sinks/test_exposition.py -k golden
	@git --no-pager diff --stat tests/unit/sinks/metrics.prom

image: ## build the container image without Docker and start it unprivileged (root; Debian's buildah and debootstrap)
	@{ command -v buildah && command -v debootstrap && command -v mosquitto; } >/dev/null || \
		{ $(call debian,buildah debootstrap mosquitto); }
	@docker/image.sh

dashboards: $(READY) ## write Grafana's dashboards anew from dashboards/build.py
	@$(RUN) dashboards/build.py

bench: $(READY) ## the engine beside a bare LSTM step, decoding beside json.loads
	@$(VENV)/bin/foretell bench $(ARGS)

fuzz: $(READY) ## fuzz the decoder for FUZZ_S seconds with atheris: no exception, nothing over 50 ms
	@$(RUN) -c 'import atheris' 2>/dev/null || $(PIP) install --no-compile --require-hashes -r requirements/fuzz.txt
	@PYTHONPATH=. $(RUN) tests/fuzz/fuzz_decode.py -max_total_time=$(FUZZ_S) -artifact_prefix=$(VENV)/ 2>&1 | \
		{ grep -E 'slowest|number_of_executed|Error|Exception|Test unit' || true; }

# deep-river wants an older torch and river than Foretell, and imports pytest without saying so.
PEERS := .venv-peers
PEERS_PIP := $(PEERS)/bin/python -m pip -qq --disable-pip-version-check install --no-compile
peers: $(PEERS)/.ready ## deep-river's LSTM and PySAD in .venv-peers, for foretell evaluate forecast --peers (large)
	@echo "ready: foretell evaluate forecast --peers"

bench-peers: $(READY) $(PEERS)/.ready ## the engine beside river's, deep-river's and PySAD's detectors, one core each
	@$(VENV)/bin/foretell bench --peers $(ARGS)

$(PEERS)/.ready: Makefile
	@$(PYTHON) -m venv --clear $(PEERS) && echo '*' >$(PEERS)/.gitignore
	@echo "== deep-river and an older torch (minutes)"
	@$(PEERS_PIP) --index-url $(TORCH_INDEX) --retries 0 --timeout 15 'torch>=2.5,<2.6' 2>/dev/null || \
		echo "   no such torch at $(TORCH_INDEX); taking the default index's build, which is several GB"
	@{ $(PEERS_PIP) deep-river==0.3.4 pysad==0.7.0 pytest && $(PEERS)/bin/python -W ignore -c 'import deep_river.forecasting'; } || { \
		echo "deep-river cannot be installed here (it needs Python 3.11 or 3.12: make peers PYTHON=python3.12)." >&2; \
		echo "foretell evaluate forecast --peers works without it, with river's models only." >&2; exit 1; }
	@touch $@

$(SPARK)/.ready: pyproject.toml requirements/lock.txt requirements/spark.txt requirements/torch.txt
	@$(PYTHON) -m venv --clear $(SPARK) && echo '*' >$(SPARK)/.gitignore
	@echo "== pinned requirements with pyspark (minutes)"
	@$(SPARK_PIP) --require-hashes -r requirements/lock.txt
	@$(SPARK_PIP) --require-hashes -r requirements/spark.txt
	@echo "== torch, CPU build"
	@$(SPARK_PIP) --index-url $(TORCH_INDEX) --retries 0 --timeout 15 -r requirements/torch.txt 2>/dev/null || { \
		echo "   not at $(TORCH_INDEX); taking the default index's build"; $(SPARK_PIP) -r requirements/torch.txt; }
	@$(SPARK_PIP) --no-deps --no-build-isolation --editable .
	@touch $@

java:
	@command -v java >/dev/null || { $(call debian,openjdk-17-jre-headless); }

UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command "make lock" --override requirements/without-torch.txt
lock: ## resolve requirements/lock.txt, run.txt and spark.txt anew (ARGS=--upgrade for newer versions); needs uv
	@command -v uv >/dev/null || { echo "uv is missing; its documentation says how to install it" >&2; exit 1; }
	@$(UV_COMPILE) $(ARGS) --extra dev --output-file requirements/lock.txt pyproject.toml requirements/lock.in >/dev/null
	@$(UV_COMPILE) --constraint requirements/lock.txt --output-file requirements/run.txt \
		pyproject.toml requirements/lock.in >/dev/null
	@$(UV_COMPILE) $(ARGS) --extra spark --constraint requirements/lock.txt --output-file requirements/spark.txt \
		pyproject.toml requirements/lock.in >/dev/null
	@grep -c == requirements/lock.txt requirements/run.txt requirements/spark.txt

clean: ## remove the virtual environment, caches and build outputs
	@rm -rf $(VENV) $(SPARK) $(PEERS) build dist ./*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find pipeline -name '*.so' -delete
	@find pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Installs Debian packages where that is allowed, else names them; succeeds only if it installed them.
define debian
if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	echo "== installing Debian's $(1)"; \
	apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(1) >/dev/null; \
else \
	echo "missing: $(1). On Debian or Ubuntu: sudo apt-get install $(1)" >&2; false; \
fi
endef

broker:
	@command -v mosquitto >/dev/null || { $(call debian,mosquitto); } || \
		echo "Tests against a real broker are skipped (with CI=true they fail)." >&2
	@{ command -v promtool && command -v prometheus-alertmanager && command -v openssl; } >/dev/null || \
		{ $(call debian,prometheus prometheus-alertmanager openssl); } || \
		echo "Tests of rules, dashboards and certificates are skipped." >&2
	@{ command -v strace && command -v faketime; } >/dev/null || { $(call debian,strace faketime); } || \
		echo "Tests of power cuts and of clocks that jump are skipped." >&2
	@command -v nats-server >/dev/null || { $(call debian,nats-server); } || echo "Tests of JetStream are skipped." >&2
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { $(call debian,chromium); } || \
		echo "Tests of the status page in a browser are skipped." >&2

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Foretell needs Python 3.11 or newer, and '$(PYTHON)' is not. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(call debian,python3-venv); }
	@echo "== virtual environment $(VENV) ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv --clear $(VENV)

$(READY): $(VENV)/bin/pip pyproject.toml requirements/lock.txt requirements/torch.txt $(wildcard pipeline/*/compiled/*.[ch]) pipeline/core/compiled.h
	@echo "== pinned requirements (a minute or two)"
	@$(PIP) install --no-compile --require-hashes -r requirements/lock.txt
	@echo "== torch, CPU build"
	@$(PIP) install --no-compile --index-url $(TORCH_INDEX) --retries 0 --timeout 15 -r requirements/torch.txt 2>/dev/null || { \
		echo "   not at $(TORCH_INDEX); taking the default index's build"; \
		$(PIP) install --no-compile -r requirements/torch.txt; }
	@echo "== foretell itself"
	@command -v cc >/dev/null || echo "   no C compiler (gcc): Foretell works without, but fine-tunes take several times as long, and scoring longer"
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
