# Two commands: `make demo` runs the whole factory on real data, `make test` passes the tests.
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS ?= cpu,dashboard,demo,dev
RECIPE ?= deployments/recipes/demo.yaml

# Nothing is fetched from a hub at run time, and nothing is reported to anybody.
export HF_HUB_OFFLINE := 1
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export TOKENIZERS_PARALLELISM := false

# Unit tests keep their files in memory where it has room: on a disk they mostly wait for its syncs.
IN_MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 2000000 { print "/dev/shm" }')
SCRATCH := $(or $(IN_MEMORY),$(TMPDIR),/tmp)

.PHONY: demo test unit lint docs audit install clean help

help: ## List the commands.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(READY) ## Make the virtual environment and install everything.

$(READY): pyproject.toml $(wildcard deployments/setup/*)
	@echo "Installing into $(VENV) (two to four minutes) …"
	@deployments/setup/install.sh $(VENV) $(EXTRAS)
	@touch $@

demo: $(READY) ## Run the whole factory on real data; again: resume.
	@$(BIN)/parrot fetch $(RECIPE)
	@$(BIN)/parrot run $(RECIPE)

unit: $(READY) ## Fast tests only.
	TMPDIR=$(SCRATCH) $(BIN)/pytest tests/unit -n 2 -o tmp_path_retention_policy=failed

lint: $(READY) ## Format, lint, types, import contracts.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint unit ## Everything: lint, unit tests, then tests with real engines.
	$(BIN)/pytest tests/engine -n 3 --no-loadscope-reorder

docs: $(READY) ## Write the reference pages that are made from the code.
	$(BIN)/python -m parrot_core.report.reference_pages docs/reference
	$(BIN)/python -m typer parrot_cli.main utils docs --name parrot --output docs/reference/commands.md

audit: ## Look up all pinned packages among the known vulnerabilities; needs the network.
	@python3 -m venv $(VENV)/audit && $(VENV)/audit/bin/pip install --quiet pip-audit==2.10.1
	@# --strict: without it a package that couldn't be looked up counts as one without findings.
	@for pins in deployments/setup/constraints-*.txt; do \
	  $(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip -r $$pins || found=1; \
	done; exit $${found:-0}

clean: ## Remove the environment and everything runs have made.
	-$(BIN)/parrot server stop
	rm -rf $(VENV) .parrot
