# One command to see it run, one gate to pass. Everything made here lives in .local/ and .aws-sam/.
.DEFAULT_GOAL := help
.PHONY: engine help run check test format lint types template locks check-locks build envs clean simulate

DEV   := .local/envs/dev/bin
SAM   := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-west-1 PATH="$(CURDIR)/.local/envs/sam/bin:$$PATH" sam
CODE  := $(wildcard functions openapi local tests cli scripts benchmarks examples)
TYPED := $(wildcard functions openapi local tests cli scripts)
TESTS ?= tests

# $(call step,heading,command): a heading, the command's own output, the seconds it took.
define step
@printf '\n== %s\n' '$(1)'; began=$$(date +%s); ( $(2) ); status=$$?; \
	printf -- '-- %s: %s, %s s\n' '$(1)' "$$([ $$status = 0 ] && echo passed || echo FAILED)" "$$(( $$(date +%s) - began ))"; \
	exit $$status
endef

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: envs ## the whole system on this machine, in the foreground; Ctrl-C ends it
	@exec $(DEV)/python -m local

check: envs ## the gate: everything below, in this order, stopping at the first failure
	$(call step,locks,scripts/locks.sh check)
	$(call step,format,$(DEV)/ruff format --check $(CODE))
	$(call step,lint,$(DEV)/ruff check $(CODE))
	$(call step,types,$(DEV)/mypy $(TYPED))
	$(call step,sam validate,$(SAM) validate --lint)
	$(call step,cfn-lint,$(DEV)/cfn-lint template.yaml)
	$(call step,audit,$(MAKE) --silent audit)
	$(call step,pytest,$(DEV)/pytest -n 2 --dist loadgroup $(TESTS))

test: envs ## pytest alone; TESTS=tests/test_x.py for a part
	@$(DEV)/pytest -n 2 --dist loadgroup $(TESTS)

format: envs ## rewrite the code the way `make check` wants it
	@$(DEV)/ruff format $(CODE)
	@$(DEV)/ruff check --fix $(CODE)

lint: envs ## ruff, nothing rewritten
	@$(DEV)/ruff format --check $(CODE)
	@$(DEV)/ruff check $(CODE)

types: envs ## mypy, strict
	@$(DEV)/mypy $(TYPED)

template: envs ## sam validate --lint and cfn-lint
	@$(SAM) validate --lint
	@$(DEV)/cfn-lint template.yaml

locks: ## rewrite the hash locks from their .in files; UPGRADE=1 takes the newest
	@scripts/locks.sh write $(if $(UPGRADE),--upgrade)

check-locks: ## fail when a lock and its source differ
	@scripts/locks.sh check

build: envs ## sam build, into .aws-sam/build
	@$(SAM) build

envs: ## the three environments in .local/envs, from their locks
	@scripts/environment.sh dev sam cloud

clean: ## remove all that was made here, the environments too
	rm -rf .local .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find functions openapi local tests cli -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

simulate: envs ## a task's life under every fault; SEEDS=2000, or SEED=7 for one and its story
	@PYTHONPATH=functions $(DEV)/python -m tests.simulation --jobs 2 $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),300))

engine: ## AWS's own DynamoDB engine, for the tests that run on it
	@scripts/dynamodb_local.sh

.PHONY: chaos
chaos: envs ## the running system, its processes killed; TASKS=200 CALLBACKS=mixed|dropped|doubled SEED=7
	@$(DEV)/python -m local.chaos --tasks $(or $(TASKS),200) --callbacks $(or $(CALLBACKS),mixed) $(if $(SEED),--seed $(SEED))

.PHONY: mutants
mutants: envs ## break the code in seventy-four places, one at a time: something must notice each
	@PYTHONPATH=functions $(DEV)/python -m tests.mutation

AUDIT := .local/envs/audit/bin

.PHONY: audit
audit: envs ## workflows, scripts, template and code read by those who look for holes
	@scripts/environment.sh audit
	$(call step,zizmor,$(DEV)/zizmor --offline --pedantic --no-progress --quiet .github)
	$(call step,actionlint,scripts/actionlint.sh)
	$(call step,shellcheck,$(AUDIT)/shellcheck .ci/run local/*/*.sh scripts/*.sh examples/*.sh examples/*/*.sh)
	$(call step,powershell,$(AUDIT)/python -m scripts.powershell_syntax scripts/check.ps1)
	$(call step,bandit,$(DEV)/bandit -q -r functions openapi cli scripts && $(DEV)/bandit -q -r local -c scripts/bandit.yaml)
	$(call step,checkov,scripts/checkov.sh)

.PHONY: sam-local
sam-local: envs ## the real sam local invoke on every event; its answers against the deployed functions'
	@$(DEV)/python -m local.sam_local

# ── The API's contract ──

.PHONY: openapi lint-api schemathesis
openapi: envs ## write functions/openapi.json anew, from the code
	@$(DEV)/python -m openapi

lint-api: envs ## functions/openapi.json as the code says it, and as a linter likes it (needs Node 20.19)
	$(call step,openapi,$(DEV)/python -m openapi --check)
	$(call step,redocly,scripts/redocly.sh)

schemathesis: envs ## the deployed stack against its contract; CASES=2000 for each operation, SEED=7
	@CASES=$(or $(CASES),200) SEED=$(or $(SEED),1) $(DEV)/pytest -n 0 -s tests/deployed/test_schemathesis.py
