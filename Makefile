# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Every command that a developer or CI needs; docs/ci.md says what each one proves and how long it may take.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

BIN := $(CURDIR)/.venv/bin
COLLECTION := build/collections/ansible_collections/vtops/vitess
STAGE := tests/ci/stage

export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build/collections
export ANSIBLE_HOME := $(CURDIR)/build/ansible
export PYTHONPATH := $(CURDIR)/build/collections
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

.PHONY: venv
venv: ## .venv with the development tools, and the collection's place on the import path
	@tests/ci/venv
	@mkdir -p $(dir $(COLLECTION)) && ln -sfn ../../../.. $(COLLECTION)

.PHONY: format
format: venv ## rewrite the Python files in the house format
	ruff format
	ruff check --fix

.PHONY: lint lint-python lint-types lint-ansible lint-docs
lint: lint-python lint-types lint-ansible lint-docs ## all of the below; -k goes on after the first that fails
lint-python: venv ## ruff: rules and format
	ruff check
	ruff format --check
lint-types: venv ## mypy, strict, on plugins, the witness and the simulated fleet
	mypy $(MYPY_PACKAGES)
lint-ansible: venv ## ansible-lint's production profile on roles, playbooks and scenarios
	ansible-lint
lint-docs: venv ## plugin docs, YAML, licences, action group, changelog
	antsibull-changelog lint
	nox -R -s $(NOX_SESSIONS)

MYPY_PACKAGES := -p ansible_collections.vtops.vitess.plugins \
  $(if $(wildcard tests/witness/*.py),-p ansible_collections.vtops.vitess.tests.witness) \
  $(if $(wildcard tests/sim/*.py),-p ansible_collections.vtops.vitess.tests.sim)
NOX_SESSIONS := antsibull-nox-config yamllint docs-check license-check extra-checks

.PHONY: gates-doc
gates-doc: venv ## docs/gates.md, written from the gates
	python -m ansible_collections.vtops.vitess.tests.tools.gates_doc

.PHONY: sanity
sanity: venv ## every sanity test of ansible-test, on a copy of what git tracks
	tests/ci/sanity

# A unit test needs nothing that another one has, and a simulated fleet is the test's own: each core runs its share.
ON_EACH_CORE := -n auto --dist worksteal

.PHONY: unit behaviour simulated
unit: venv ## the unit tests: seconds, nothing outside this process
	pytest $(ON_EACH_CORE) tests/unit
behaviour: venv ## every rule broken on purpose, on the simulated fleet: docs/safety.md
	pytest $(ON_EACH_CORE) tests/behaviour
simulated: venv ## both of them: all that needs no lab
	pytest $(ON_EACH_CORE) tests/unit tests/behaviour

.PHONY: playbooks
playbooks: venv ## the real ansible-playbook on simulated fleets: signals, hooks, plans, the README, rolls beside each other
	pytest $(ON_EACH_CORE) --fleet=sim tests/behaviour_playbook tests/kind/test_rolls_together.py

.PHONY: unit-oldest
unit-oldest: venv ## the unit tests on the oldest Python, ansible-core and libraries that we say we support
	tests/ci/oldest

.PHONY: matrix
matrix: ## the unit tests, and a roll by ansible-playbook, on each ansible-core that is supported and that a Python here can run
	tests/ci/matrix $(CORES)

.PHONY: install-check
install-check: venv ## the artefact installed beside an ansible-core of its own: inventory, plan, and ansible-builder's context for an image
	tests/ci/install-check

.PHONY: build
build: venv ## the artefact, its contents checked, and galaxy-importer's opinion of it
	tests/ci/build
	nox -R -s build-import-check

.PHONY: lab
lab: ## the real fleet on kind: tests/lab/README.md
	tests/lab/lab up

.PHONY: lab-down
lab-down: ## stop everything that the lab started; its caches stay
	tests/lab/lab down

.PHONY: lab-clean
lab-clean: ## stop the lab and drop its caches
	tests/lab/lab clean

.PHONY: kind
kind: venv ## one real roll with one kill and rerun on the lab that is up; one test after the other, for the lab is one for all
	pytest tests/kind/test_rolling_upgrade.py tests/kind/test_stops.py

# The simulated tests come before the lab: it takes half of the machine, and what they find needs none.
.PHONY: test
test: venv ## what CI runs: lint, sanity, build, unit tests, simulated fleets and the tests on the lab
	@$(STAGE) lint $(MAKE) -k lint
	@$(STAGE) sanity $(MAKE) sanity
	@$(STAGE) build $(MAKE) build
	@$(STAGE) unit-oldest $(MAKE) unit-oldest
	@$(STAGE) simulated $(MAKE) simulated
	@$(STAGE) playbooks $(MAKE) playbooks
	@$(STAGE) lab $(MAKE) lab
	@STAGE_QUIET=1 $(STAGE) kind $(MAKE) kind

.PHONY: demo
demo: venv ## the first minute: the real playbook on a simulated fleet, under clients; no Docker, no Go
	python -m tests.sim.demo

.PHONY: demo-kind
demo-kind: venv lab ## the main job on the real fleet: v23 to v24 under load, and what the clients saw
	python -m tests.kind.demo

.PHONY: bench
bench: venv lab ## kubectl rollout restart against this collection, same fleet, same probe: docs/benchmarks.md
	python -m tests.bench.roll

.PHONY: bench-scale
bench-scale: venv ## simulated fleets of 3 to 10,000 tablets and 2 to 200 vtgates: requests, bytes, proof and plan
	python -m tests.bench.scale

.PHONY: test-kind
test-kind: venv ## every molecule scenario, or SCENARIO=name, then rolls beside each other, on the lab; before an issue is called resolved
	molecule test $(if $(SCENARIO),-s $(SCENARIO),--all)
	$(if $(SCENARIO),,pytest tests/kind/test_rolls_together.py)

.PHONY: budget
budget: ## the last run of each stage beside its budget in docs/ci.md
	@tests/ci/stage --report

.PHONY: clean
clean: ## drop what the tools made here, but not the lab's caches
	rm -rf .ansible .nox .venv .ruff_cache
	[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name lab -exec rm -rf {} +
