# The words that people and CI use. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)
SOURCES := policies/watchkeeper_detection sensor/watchkeeper_sensor operator/watchkeeper_operator cli/watchkeeper_cli
CORPUS ?= ../shared/corpus
ACTIONS ?= $(CORPUS)/event-generator-actions.tsv
SCORE ?= ../shared/tools/score.py
FUZZ_INPUTS ?= 1000000
MINUTES ?= 60
KERNELS ?= all
JOBS ?= 2
# What a kernel can make differ; of the agent, which is slow to start there, one test alone.
KERNEL_TESTS ?= $(filter-out $(foreach name,alike cluster_node shared_kernel docker% doctor hashing history late layouts promises quiet_host screen trace unit up,tests/bpf/test_$(name).py),$(sort $(wildcard tests/bpf/test_*.py))) \
	tests/bpf/test_up.py::test_an_act_is_a_detection_with_who_did_it
comma := ,
SERIES = $(foreach series,$(subst $(comma), ,$(KERNELS)),--kernel $(series))
BENCH_MIB ?= 2048

.PHONY: help install bpf run test test-e2e cluster-up cluster-down cluster-parts check format bench fuzz score score-host soak kernels test-kernels crds library docs conformance lock clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | awk -F '\t' '{ printf "  make %-13s %s\n", $$1, $$2 }'

install: $(INSTALLED) ## create .venv from the committed locks (done by the other targets when needed)

$(INSTALLED): requirements.lock requirements-dev.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "watchkeeper needs Python 3.11 or newer; none found as python3, python3.11 … python3.14" >&2; exit 1; fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "install: $$($(PYTHON) --version) cannot make virtual environments: installing Debian's python3-venv"; \
		root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$root apt-get -qq update && DEBIAN_FRONTEND=noninteractive $$root apt-get -qq install -y python3-venv >/dev/null; fi
	@if [ ! -x $(BIN)/python ]; then echo "install: creating $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); fi
	@echo "install: $$(grep -c == requirements.lock) packages to run, $$(grep -c == requirements-dev.lock) to develop, at the versions of the locks"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "install: done; the command is $(BIN)/watchkeeper"

run: $(INSTALLED) ## watch this host (without a terminal: the demo, which ends by itself); judge the sample logs where it can't be watched
	@why=""; [ "$$(id -u)" = 0 ] || why="root is needed to load programs into the kernel: sudo make run"; \
	[ -n "$$why" ] || [ -e /sys/kernel/btf/vmlinux ] || why="this kernel has no type information (CONFIG_DEBUG_INFO_BTF)"; \
	[ -n "$$why" ] || $(MAKE) --no-print-directory bpf || why="the sensor's programs could not be built: see above for what is missing"; \
	if [ -n "$$why" ]; then echo "run: this host can't be watched: $$why"; echo "run: judging the sample logs instead"; $(BIN)/watchkeeper judge samples; \
	elif [ -t 1 ] && [ -z "$${CI:-}" ]; then $(BIN)/watchkeeper up; \
	else $(BIN)/watchkeeper up --demo; fi

bpf: ## build the sensor's programs (installs clang, libbpf and bpftool with apt where they are missing)
	@missing=""; command -v clang >/dev/null || ls /usr/bin/clang-1[4-9] >/dev/null 2>&1 || missing="$$missing clang"; \
	[ -e /usr/include/bpf/bpf_helpers.h ] || missing="$$missing libbpf-dev"; [ -x /usr/sbin/bpftool ] || command -v bpftool >/dev/null || missing="$$missing bpftool"; \
	if [ -n "$$missing" ]; then echo "bpf: installing$$missing"; root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$root apt-get -qq update && DEBIAN_FRONTEND=noninteractive $$root apt-get -qq install -y --no-install-recommends $$missing >/dev/null; fi
	@$(MAKE) --no-print-directory -C sensor/bpf

test: $(INSTALLED) bpf ## the quick tests: what a contributor runs all day, with the sensor on this kernel
	$(BIN)/pytest -n auto --ignore=tests/e2e

test-e2e: $(INSTALLED) bpf ## the stories, on a real API server and a real cluster (its parts are built once: a quarter of an hour; what fails is run once more, and said)
	$(BIN)/pytest -n0 --reruns 1 --durations 15 tests/e2e

cluster-up: $(INSTALLED) ## a real kind cluster, in a minute once its parts are built; also where no image can be pulled (WORKERS=number)
	@$(if $(WORKERS),WATCHKEEPER_WORKERS=$(WORKERS)) $(BIN)/python -m tests.support.cluster up

cluster-down: $(INSTALLED) ## remove that cluster; the machine is as it was
	@$(BIN)/python -m tests.support.cluster down

cluster-parts: $(INSTALLED) ## build what cluster-up needs, ahead of time
	@$(BIN)/python -m tests.support.cluster build

check: $(INSTALLED) ## formatting, lint, types, layers, and that generated files are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror sensor/bpf/*.h sensor/bpf/*.c
	$(BIN)/python -m watchkeeper_operator.resources.crd --check crds
	@$(LIBRARY) | cmp - policies/kustomization.yaml || { echo "policies/kustomization.yaml does not list the library as it is: run make library" >&2; exit 1; }
	$(BIN)/python -m watchkeeper_detection.fields_doc | cmp - docs/fields.md || { echo "docs/fields.md is not what the vocabulary says: run make docs" >&2; exit 1; }

format: $(INSTALLED) ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

crds: $(INSTALLED) ## write crds/ from the models
	$(BIN)/python -m watchkeeper_operator.resources.crd crds

LIBRARY = { printf '%s\n' '\# Written by `make library`: the policies and lists that ship, as objects for a cluster.' 'apiVersion: kustomize.config.k8s.io/v1beta1' 'kind: Kustomization' 'resources:'; \
	cd policies && find library -name '*.yaml' | LC_ALL=C sort | sed 's/^/- /'; }

library: ## write policies/kustomization.yaml from the files of the library
	@text=$$($(LIBRARY)) && printf '%s\n' "$$text" > policies/kustomization.yaml

docs: $(INSTALLED) ## write docs/fields.md from the vocabulary
	$(BIN)/python -m watchkeeper_detection.fields_doc > docs/fields.md

score: $(INSTALLED) ## judge a labelled corpus: recall and noise (CORPUS=folder, SCORE=script)
	$(BIN)/python $(SCORE) $(CORPUS) --only k8s-audit,aks-audit,cloudtrail,vpcflow --command '$(BIN)/watchkeeper judge --source {source} {file} --output json'

score-host: $(INSTALLED) bpf ## perform the acts of a table on this host and print which the library sees (ACTIONS=table); needs root
	$(BIN)/python -m tests.host $(ACTIONS)

kernels: $(INSTALLED) ## fetch the kernels of test-kernels and what it needs from Debian's mirror, and make the guests' disk
	$(BIN)/python -m tests.support.kernels $(SERIES)

# A guest is emulated and ten times as slow as a host: a test that fails there is run once more, and said as rerun.
test-kernels: $(INSTALLED) bpf ## the sensor's tests on real kernels in qemu (KERNELS=series, comma between; JOBS at a time)
	$(BIN)/python -m tests.support.kernels $(SERIES) --jobs $(JOBS) --timeout 1500 \
		--out build/kernels --skips tests/bpf/expected_skips.toml -- python -m pytest -q -p no:cacheprovider -p pytest_rerunfailures --reruns 1 $(KERNEL_TESTS) --junitxml='$$OUT/junit.xml'

soak: $(INSTALLED) bpf ## an hour of short containers beside the sensor (MINUTES=number); memory has to stay flat
	$(BIN)/python -m tests.bench.soak --minutes $(MINUTES)

bench: $(INSTALLED) ## throughput against plain JSON decoding, cost by number of rules, memory, processes (BENCH_MIB=size)
	$(BIN)/python -m tests.bench --mib $(BENCH_MIB)

fuzz: $(INSTALLED) ## hostile input for readers, conditions and policies (FUZZ_INPUTS=number)
	$(BIN)/python -m tests.fuzz --inputs $(FUZZ_INPUTS)

conformance: $(INSTALLED) ## the CEL specification's own cases, by file
	$(BIN)/python -m tests.detection.cel.conformance

lock: ## write the locks anew from pyproject.toml, with the newest versions it allows
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --upgrade pip
	build/lock/bin/pip install --quiet '.[sensor]'
	build/lock/bin/pip freeze --exclude watchkeeper > build/lock/sensor
	build/lock/bin/pip install --quiet '.[operator,parquet,sensor]'
	build/lock/bin/pip freeze --exclude watchkeeper > build/lock/runtime
	build/lock/bin/pip install --quiet --group dev
	build/lock/bin/pip freeze --exclude watchkeeper | grep -vxFf build/lock/runtime > build/lock/dev
	(echo "# What the command needs to run; written by make lock."; cat build/lock/runtime) > requirements.lock
	(echo "# What a node's sensor needs, of requirements.lock; written by make lock."; cat build/lock/sensor) > requirements-sensor.lock
	(echo "# What development needs on top of requirements.lock; written by make lock."; cat build/lock/dev) > requirements-dev.lock

clean: ## remove the virtual environment and every cache in this folder
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
