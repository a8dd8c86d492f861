# Everything a developer does here. `make help` lists it; the two that matter are `make up` and `make test`.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
VENV := .venv
PYTHON := $(VENV)/bin/python
SAM := .venv-tools/sam/bin/sam
SOURCES := layers/core/safelight functions local tests migrations $(wildcard bench cli)
UV = $(or $(shell command -v uv),.venv-tools/uv/bin/uv)
BENCHES := refusals signing views pages load pictures sandbox culling sealing archives archive_memory build coldstart login
# Test processes at a time, each with servers of its own; one file stays in one process. PARALLEL=0 for a debugger.
# In the order of the files: by the number of their tests, the longest of all, one test of a minute, would begin last.
PARALLEL ?= 2
PYTEST := $(PYTHON) -m pytest -n $(PARALLEL) --dist loadfile --no-loadscope-reorder
export SAM_CLI_TELEMETRY := 0
# Tests start hundreds of interpreters: without bytecode on the disk each compiles what it imports, for seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help up dev demo env pin admin invite reprocess test test-long check format lint types imports template build bench fuzz lock coverage venv sam clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: venv ## Start everything and print the address (PORT, SAFELIGHT_HOME and every product setting are honoured)
	@$(PYTHON) -m local

dev: venv ## The same, restarting functions and worker when their code changes
	@$(PYTHON) -m local --reload

demo: venv ## Fill the running stack with a gallery and print its share address
	@$(PYTHON) -m local.demo $(ARGS)

env: ## Write .env, the settings of docker-compose.yml, with random secrets
	@$(or $(shell command -v python3),$(PYTHON)) -I local/env.py

pin: ## Write the digests of images and the commits of actions, where the network allows (needs docker and git)
	@$(or $(shell command -v python3),$(PYTHON)) -I local/pin.py

admin: venv ## Make EMAIL an administrator of the running stack; prints a new password, with KEY=1 an API key too
	@LOG_LEVEL=WARNING PYTHONPATH=layers/core $(PYTHON) -m local.admin "$(EMAIL)" $(if $(filter 1,$(KEY)),--key)

invite: venv ## Invite EMAIL to open an account of the running stack; prints the address and the code
	@LOG_LEVEL=WARNING PYTHONPATH=layers/core $(PYTHON) -m local.invite "$(EMAIL)"

reprocess: venv ## Make a GALLERY's renditions again, or its analyses or clean files (WHAT), with SAFELIGHT_KEY
	@$(PYTHON) -m local.reprocess "$(GALLERY)" $(WHAT)

test: venv ## Run all tests against their own Postgres and object store (ARGS for pytest)
	@$(PYTEST) $(ARGS)

test-long: venv ## The tests of half a minute or more that `make test` leaves out (ARGS for pytest)
	@$(PYTEST) -m long $(ARGS)

check: lint types imports template test ## All that must hold before a change lands

format: venv ## Format the code and apply the safe fixes
	@$(PYTHON) -m ruff format $(SOURCES)
	@$(PYTHON) -m ruff check --fix $(SOURCES)

lint: venv ## Formatting and lint, changing nothing
	@$(PYTHON) -m ruff format --check $(SOURCES)
	@$(PYTHON) -m ruff check $(SOURCES)

types: venv ## mypy, strict
	@$(PYTHON) -m mypy

imports: venv ## Who may import whom
	@PYTHONPATH=layers/core $(VENV)/bin/lint-imports

template: venv sam ## Validate and lint template.yaml
	@AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint --template-file template.yaml

build: venv sam ## Build functions and layers for AWS into .aws-sam
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(SAM) build $(ARGS)

bench: venv sam ## Benchmarks, each a ratio against a named peer measured in the same run (BENCHES=signing for one)
	@for name in $(BENCHES); do echo "== $$name"; PYTHONPATH=.:layers/core $(PYTHON) -m bench.$$name $(ARGS) || exit 1; done

corpus: venv ## Process the pictures that imaging libraries publish with their sources (downloads 64 MB)
	@PYTHONPATH=.:layers/core $(PYTHON) -m tests.core.pictures.published

fuzz: venv ## What `make test` does briefly: hostile requests, random histories, races and failures, for about half an hour
	@FUZZ=1 $(PYTHON) -m pytest -q tests/functions/test_contract.py tests/functions/test_histories.py \
		tests/functions/test_attacks.py tests/functions/test_resuming.py tests/core/archives/test_failures.py $(ARGS)

coverage: venv ## The tests, with the lines of the core that none of them reached
	@$(PYTEST) --cov --cov-report=term-missing:skip-covered $(ARGS)

lock: venv ## Resolve requirements/*.in again into hashed requirements/*.txt
	@command -v $(UV) >/dev/null || { echo "make lock needs uv"; exit 1; }
	@for name in bootstrap dev core imaging vision cli tools bench; do \
		constraint=; case $$name in core|imaging|vision|cli) constraint="--constraint dev.txt";; esac; \
		case $$name in imaging) constraint="$$constraint --no-emit-package pillow";; esac; \
		(cd requirements && $(abspath $(UV)) pip compile --quiet --universal --python-version 3.13 --generate-hashes \
			--no-emit-index-url --no-emit-package django --no-emit-package asgiref --no-emit-package sqlparse --custom-compile-command "make lock" $$constraint $$name.in --output-file $$name.txt) \
		|| exit 1; done

venv:
	@local/environment.sh $(VENV) requirements/dev.txt

sam:
	@local/environment.sh .venv-tools/sam requirements/tools.txt

clean: ## Remove environments, caches and builds; the data of `make up` stays
	@rm -rf $(VENV) .venv-tools .aws-sam .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
