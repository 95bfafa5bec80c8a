# Everything runs in a virtual environment of its own, made on first use. Targets that only run the package install it without
# torch and without frameworks; those that test or check it install the extra "dev" as well.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DATASETS ?=
TRAIN ?=
FIDELITY ?=
DOMAINS := $(addprefix data/,customer_service education facilities field_service finance healthcare hr legal procurement security_operations)

.PHONY: demo test fix lint docs bench pairs evaluate model constraints clean

demo: $(VENV)/.base
	$(BIN)/multiretriever demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for folder in examples/*/; do MYPYPATH=$$folder $(BIN)/mypy $$folder || exit 1; done
	cd data/it_service && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache/data compose.py composer

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict --quiet

# Speed on the bundled catalog; with DATASETS="FOLDER ..." quality on dataset folders as well.
bench: $(VENV)/.bench
	$(BIN)/python benchmarks/cold_start.py --output benchmarks/results/cold_start.json
	$(BIN)/python benchmarks/latency.py --output benchmarks/results/latency.json
ifneq ($(DATASETS),)
	$(BIN)/python benchmarks/quality.py $(DATASETS) --output benchmarks/results/quality.json
endif

# Training pairs of the IT domain (and of DATASETS), with the tables of what they and the evaluation data hold.
pairs: $(VENV)/.dev
	$(BIN)/multiretriever pairs data/it_service $(DATASETS) --output build/pairs.parquet $(addprefix --evaluation ,$(DOMAINS))

# BM25, the shipped encoder and both together: on the ten domains beside the paper's figures; on general questions; on the IT
# domain's dev split, the translations and DATASETS.
evaluate: $(VENV)/.dev
	$(BIN)/multiretriever evaluate $(DOMAINS) --output build/evaluation/domains
	$(BIN)/python benchmarks/paper.py build/evaluation/domains/report.json
	$(BIN)/multiretriever evaluate data/general --output build/evaluation/general
	$(BIN)/multiretriever evaluate data/it_service@dev data/it_service@translations $(DATASETS) \
		--by dataset,element_type --by dataset,language --by kind --output build/evaluation/others

# The shipped encoder, made again from its base weights: tuned on data/it_service and TRAIN by two recipes, 60 to 120 minutes on two
# cores, the mean of their weights taken, and rounded to 8 bits. The one that ships had TRAIN="servicenow-train powerplatform-train
# spider-train"; without them it comes out weaker. FIDELITY names datasets on which the rounding is measured. After an interruption
# the same command goes on; remove build/even and build/leaning to start anew.
model: build/even build/leaning
	$(BIN)/multiretriever fuse build/even build/leaning --share 0.5 --output build/shipped
	$(BIN)/python -m multiretriever.training.export --base build/shipped --output src/multiretriever/models/multiretriever-minilm-l6 \
		$(if $(FIDELITY),--fidelity $(FIDELITY) --fidelity-output benchmarks/results/encoder_fidelity.json)

# A run's folder appears when the run is done.
build/even: RECIPE := shipped
build/leaning: RECIPE := leaning
build/even build/leaning: | $(VENV)/.dev
	$(BIN)/multiretriever train $(RECIPE) $(addprefix --data ,$(TRAIN)) --output $@

constraints: $(VENV)/.base
	$(PIP) uv
	$(BIN)/python .ci/constraints.py > constraints.new && mv constraints.new constraints.txt

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 10) <= sys.version_info < (3, 14) else "Python 3.10 to 3.13 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.base: $(VENV)/.python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) --editable ".[dev]"
	touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(PIP) --editable ".[docs]"
	touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache dist site .multiretriever
