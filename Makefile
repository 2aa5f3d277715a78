# `make run` starts the system, `make check` is the gate. Everything generated here is in .local/ and .aws-sam/.
.DEFAULT_GOAL := help
.PHONY: help setup run check test format lint types template locks check-locks build clean simulate dynamodb-local

DEV   := .local/envs/dev/bin
SAM   := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-west-1 PATH="$(CURDIR)/.local/envs/sam/bin:$$PATH" sam
CODE  := $(wildcard functions layers openapi local tests cli scripts benchmarks examples clients/python)
TYPED := $(wildcard functions layers openapi local tests cli scripts benchmarks clients/python/src)

# $(call step,heading,command): prints a heading, the command's own output, its result and its duration in seconds.
define step
@printf '\n== %s\n' '$(1)'; began=$$(date +%s); ( $(2) ); status=$$?; \
	printf -- '-- %s: %s, %s s\n' '$(1)' "$$([ $$status = 0 ] && echo passed || echo FAILED)" "$$(( $$(date +%s) - began ))"; \
	exit $$status
endef

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## start the whole system on this machine, in the foreground; Ctrl-C stops it
	@exec $(DEV)/python -m local

check: setup ## the gate: all steps in order, stopping at the first failure
	$(call step,locks,scripts/locks.sh check)
	$(call step,format,$(DEV)/ruff format --check $(CODE))
	$(call step,lint,$(DEV)/ruff check $(CODE))
	$(call step,types,$(DEV)/mypy $(TYPED))
	$(call step,imports,PYTHONPATH=functions $(DEV)/lint-imports --no-cache)
	$(call step,sam validate,$(SAM) validate --lint)
	$(call step,cfn-lint,$(DEV)/cfn-lint template.yaml)
	$(call step,audit,$(MAKE) --silent audit)
	$(call step,pytest,$(DEV)/pytest -n 2 --dist loadgroup --cov --cov-report=term tests)

test: setup ## run the unit and integration tests; TESTS=tests/deployed for another part
	@$(DEV)/pytest $(if $(TESTS),-n 2 --dist loadgroup $(TESTS),-n 3 --dist worksteal tests/unit tests/integration)

format: setup ## format the code and apply the automatic fixes of ruff
	@$(DEV)/ruff format $(CODE)
	@$(DEV)/ruff check --fix $(CODE)

lint: setup ## check format and lint with ruff, without changing a file
	@$(DEV)/ruff format --check $(CODE)
	@$(DEV)/ruff check $(CODE)

types: setup ## check types with mypy, strict
	@$(DEV)/mypy $(TYPED)

template: setup ## check template.yaml with sam validate --lint and cfn-lint
	@$(SAM) validate --lint
	@$(DEV)/cfn-lint template.yaml

locks: ## write the hash locks from their .in files; UPGRADE=1 takes the newest versions
	@scripts/locks.sh write $(if $(UPGRADE),--upgrade)

check-locks: ## fail if a lock differs from its .in file
	@scripts/locks.sh check

build: setup ## run sam build into .aws-sam/build
	@$(SAM) build

setup: ## create or update the environments in .local/envs from their locks
	@scripts/environment.sh dev sam cloud

clean: ## remove everything that was generated, including the environments
	rm -rf .local .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find functions openapi local tests cli -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

simulate: setup ## run the fault simulation; SEEDS=2000, or SEED=7 for one run with its log
	@PYTHONPATH=functions $(DEV)/python -m tests.simulation --jobs 2 $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),300))

dynamodb-local: ## install DynamoDB Local, the engine of some tests
	@scripts/dynamodb_local.sh

.PHONY: chaos
chaos: setup ## run the system with faults and killed processes; TASKS=200 CALLBACKS=mixed|dropped|doubled SEED=7
	@$(DEV)/python -m local.chaos --tasks $(or $(TASKS),200) --callbacks $(or $(CALLBACKS),mixed) $(if $(SEED),--seed $(SEED))

.PHONY: bench
bench: setup ## measure speed, memory and size against baselines (6 minutes if nothing else runs); writes docs/performance.md
	@PYTHONPATH=functions $(DEV)/python -m benchmarks

.PHONY: cold-starts
cold-starts: setup ## record the instructions of cold starts, which the gate lets grow by 3 %
	@PYTHONPATH=functions $(DEV)/python -m benchmarks.cold_start --record

.PHONY: mutation
mutation: setup ## break the code in one place at a time; a test must fail each time
	@PYTHONPATH=functions $(DEV)/python -m tests.mutation

AUDIT := .local/envs/audit/bin

.PHONY: audit
audit: setup ## check workflows, scripts, template and code with security linters
	@scripts/environment.sh audit
	$(call step,zizmor,$(DEV)/zizmor --offline --pedantic --no-progress --quiet .github)
	$(call step,actionlint,scripts/actionlint.sh)
	$(call step,shellcheck,$(AUDIT)/shellcheck .ci/run local/*/*.sh scripts/*.sh examples/*.sh examples/*/*.sh)
	$(call step,powershell,$(AUDIT)/python -m scripts.powershell_syntax scripts/check.ps1)
	$(call step,bandit,$(DEV)/bandit -q -r functions openapi cli scripts clients/python/src && $(DEV)/bandit -q -r local -c scripts/bandit.yaml)
	$(call step,checkov,scripts/checkov.sh)

.PHONY: sam-local
sam-local: setup ## run sam local invoke on every event and compare with the deployed functions
	@$(DEV)/python -m local.sam_local

# ── OpenAPI ──

.PHONY: openapi lint-api schemathesis
openapi: setup ## generate functions/openapi.json from the code
	@$(DEV)/python -m openapi

lint-api: setup ## check that functions/openapi.json is up to date, and lint it (needs Node 20.19)
	$(call step,openapi,$(DEV)/python -m openapi --check)
	$(call step,redocly,scripts/redocly.sh)

schemathesis: setup ## fuzz the deployed stack against functions/openapi.json; CASES=2000 for each operation, SEED=7
	@CASES=$(or $(CASES),200) SEED=$(or $(SEED),1) $(DEV)/pytest -n 0 -s tests/deployed/test_schemathesis.py
