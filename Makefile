# The commands of this project; `make help` lists them. A machine needs Python >= 3.11 and make.
#
#   make report STUDY=studies/kochurov2018.yaml CONFIG="budget=quick data_root=/data" CORES=2
#
# Everything runs from .venv, which the first command makes from requirements.lock and later ones
# keep in step with it. Nothing has to be activated.

# A study; without one, the default study config.yaml.
STUDY =
# Settings on top of it: key=value key=value ...
CONFIG =
# How many jobs may run at once.
CORES = all
# Further options, for Snakemake (report), pytest (test, coverage) or uv (lock).
ARGS =
# The first of these that fits makes .venv.
PYTHON = python3 python3.14 python3.13 python3.12 python3.11

VENV = .venv
READY = $(VENV)/.ready
RUN = $(VENV)/bin/python -m
SNAKEMAKE = $(RUN) snakemake
CONFIGFILE_OPTION = $(if $(STUDY),--configfile $(STUDY))
CONFIG_OPTION = $(if $(CONFIG),--config $(CONFIG))

.PHONY: report plan test coverage lint format docs site lock environment help
.DEFAULT_GOAL = report

report: $(STUDY) $(READY)  ## run a study and print where its report is (the default)
	$(SNAKEMAKE) $(ARGS) --cores $(CORES) $(CONFIGFILE_OPTION) $(CONFIG_OPTION)
	@$(VENV)/bin/python -c "$$REPORT_PATH" $(or $(STUDY),config.yaml) --config $(CONFIG)

plan: $(STUDY) $(READY)  ## say how many jobs of each rule a study has still to run; runs none
	$(SNAKEMAKE) --dry-run --quiet rules $(ARGS) --cores $(CORES) $(CONFIGFILE_OPTION) $(CONFIG_OPTION)

test: $(READY)  ## run the tests
	$(RUN) pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: $(READY)  ## run the tests and say which lines of the library none of them reaches
	$(RUN) pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report= $(ARGS)
	$(RUN) coverage report

lint: $(READY)  ## check style, types and the form of the workflow; changes nothing
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint

format: $(READY)  ## bring style in order
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
	$(RUN) snakefmt Snakefile workflow

docs: $(READY)  ## generate docs/config.md, the schemas of a study and the ledgers in docs/claims.md
	$(RUN) incbayes.docgen

site: $(READY)  ## build the documentation as a site, site/index.html
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet
	@echo "Site: site/index.html"

environment: $(READY)  ## make or update .venv and nothing else

help:  ## list the commands
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / {printf "%-12s %s\n", $$1, $$2}' Makefile

# A reduced budget has a folder of its own, so only the study knows where its report is. A dry run
# makes none.
define REPORT_PATH
import pathlib, sys
from snakemake.cli import parse_config
from incbayes.study.sources import load_study
option = sys.argv.index("--config")
study = load_study(sys.argv[1:option], parse_config(sys.argv[option + 1 :]))
report = pathlib.Path("results", study.study_id, "report.html")
if report.is_file():
    print(f"Report: {report}")
endef
export REPORT_PATH

# ---- The lock ----

# Keeps the versions that are there; ARGS="--upgrade" or ARGS="--upgrade-package NAME" changes them.
# The versions in envs/ are to follow; a test compares them.
lock: $(READY)  ## resolve the dependencies of pyproject.toml into requirements.lock
	cp requirements.lock $(VENV)/lock.txt
	$(VENV)/bin/uv pip compile pyproject.toml --extra dev --extra docs --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-annotate --no-header --quiet \
		--output-file $(VENV)/lock.txt $(ARGS)
	printf '# %s\n' \
		'The exact environment, for every platform: made from pyproject.toml by `make lock`,' \
		'installed with its hashes by `make`. Do not edit.' \
		| cat - $(VENV)/lock.txt > $(VENV)/lock.whole
	mv $(VENV)/lock.whole requirements.lock

# ---- The environment ----

# uv is one of the locked packages; where the machine has none, pip installs that one first.
UV = $(or $(shell uv --version >/dev/null 2>&1 && command -v uv),$(VENV)/bin/uv)

# The file $(READY) is there only while the environment is whole. Without it, the first time or
# after an interruption, .venv is made anew; uv keeps what it has downloaded, so that costs little.
# Byte code is compiled here, as some machines forbid writing it later and then start twice as slow.
$(READY): requirements.lock pyproject.toml
	@test -e $@ || { $(FIND_PYTHON); "$$python" -m venv --clear $(VENV); }
	@rm -f $@
	@test $(UV) != $(VENV)/bin/uv || test -x $(VENV)/bin/uv || { $(INSTALL_UV); }
	@echo "Setting up $(VENV): $$(grep -c '^[A-Za-z0-9].*==' requirements.lock) packages, one to a few minutes"
	@$(UV) pip sync --python $(VENV) --quiet --require-hashes --compile-bytecode requirements.lock
	@$(UV) pip install --python $(VENV) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

FIND_PYTHON = \
	for python in $(PYTHON) ""; do \
		"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null && break; \
	done; \
	test -n "$$python" || { \
		echo "No Python >= 3.11 with the venv module among: $(PYTHON)." \
			"Install one (Debian: apt install python3-venv) or name it: make PYTHON=..." >&2; \
		exit 1; \
	}

INSTALL_UV = \
	awk '/^uv==/ {on = 1; print; next} /^[^ ]/ {on = 0} on' requirements.lock > $(VENV)/uv.txt && \
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r $(VENV)/uv.txt
