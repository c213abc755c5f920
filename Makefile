# make run    the main job on the embedded data: uniform against differential fine-tuning
# make test   every test;   make lint   format, lint, types and layers;   make lab   JupyterLab
# Everything that these make lies in .venv, so that nothing else in the tree changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/peers
BENCH ?= $(VENV)/bench.md
CLOCK ?= wall
OUT ?= $(VENV)/run
WORKERS ?= 2
CIFAR_FOLDER ?= ../shared/cifar10-jpeg
WEIGHTS ?= ../shared/weights/resnet18-tinyimagenet32.safetensors
SOURCE ?= ../shared/tinyimagenet32-val

export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/.cache/pycache
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DIFFLR_SCREENSHOTS ?= $(CURDIR)/$(VENV)/screenshots

.PHONY: env run test fuzz lint format docs notebooks solved bench peers rivals lab pictures images weights clean

env: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $(READY)

run: env
	$(BIN)/difflr compare --data strokes --out $(OUT)

# Everything, WORKERS test files at a time, one thread each (two that wait for each other take
# far longer than one); then the widgets with the versions that Colab has, and the
# core with the oldest Lightning.
test: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
	sh tests/support/old_widgets.sh $(BIN)/python
	sh tests/support/old_lightning.sh $(BIN)/python

# Bytes bent towards code not yet reached, for as long as you like: make fuzz FUZZ_SECONDS=3600
FUZZ_SECONDS ?= 300
fuzz: env
	$(BIN)/python -m pip install --quiet atheris
	mkdir -p $(VENV)/fuzz
	$(BIN)/python tests/fuzz/fuzz.py -max_total_time=$(FUZZ_SECONDS) -max_len=600 -len_control=10 \
	  -artifact_prefix=$(VENV)/fuzz/ $(VENV)/fuzz

# Everything about speed, side by side with the peers, in one table ($(BENCH)). CLOCK=cpu counts processor
# time, for a machine that has other work; THREADS limits torch.
bench: env peers
	$(if $(THREADS),OMP_NUM_THREADS=$(THREADS)) $(BIN)/python benchmarks/bench.py --data $(CIFAR_FOLDER) \
	  --weights $(WEIGHTS) --peers $(PEERS)/bin/python --clock $(CLOCK) --out $(BENCH)

# An environment of their own for the packages that difflr is measured against, and their recipes' runs
# (hours; it goes on where it stopped).
peers: $(PEERS)/.ready

$(PEERS)/.ready: benchmarks/peers.txt pyproject.toml constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -c constraints.txt -r benchmarks/peers.txt -e ".[studies]"
	touch $@

rivals: peers
	OMP_NUM_THREADS=1 $(PEERS)/bin/python benchmarks/rivals.py --data $(CIFAR_FOLDER) --weights $(WEIGHTS) \
	  --source $(SOURCE) --out $(VENV)/rivals

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --cache-dir $(VENV)/.cache/import-linter

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The site: docs/_build/html/index.html. A warning is an error.
docs: env
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build/html

# Lessons: run each .py and write its .ipynb with the outputs that are meant to be read.
notebooks: env
	$(BIN)/python notebooks/execute.py

# For teachers: lessons with their solutions filled in, and lessons with the solutions taken out.
solved: env
	$(BIN)/python notebooks/derive.py --solved $(VENV)/solved
	$(BIN)/python notebooks/derive.py --without-solutions $(VENV)/without-solutions

lab: env
	$(BIN)/jupyter lab --notebook-dir notebooks

# The pictures of the recorded studies that the README shows: seconds, nothing is trained.
pictures: env
	for study in plateau recipes which_splits frozen_bn; do \
	  $(BIN)/python -m difflr.evidence.gallery $$study --out $(OUT)/gallery >/dev/null || exit 1; done
	for picture in plateau-500 forgetting-500 which-splits; do \
	  cp $(OUT)/gallery/$$picture.png images/; done
	cp $(OUT)/gallery/recipes-cpu-seconds.png images/recipes.png

# The pictures and the table of the README, from real photographs (see README, "How it was made").
images: env
	$(BIN)/difflr compare --data $(CIFAR_FOLDER) --weights $(WEIGHTS) --seeds 3 \
	  --recipes uniform:lr=1e-3 head_only:lr=1e-2 differential:lr=3e-3 milestones_2020 \
	  --out $(OUT)/photographs
	cp $(OUT)/photographs/compare.png images/compare.png
	cp $(OUT)/photographs/results.json images/compare.json
	$(BIN)/difflr curves $(OUT)/photographs/tensorboard/milestones_2020-0 --out images/lrs.png \
	  --title "The milestones of 2020, as logged to TensorBoard"
	$(BIN)/difflr plan --recipe gradual --out images/plan.png

# The embedded weights, pre-trained on the source task of the strokes.
weights: env
	$(BIN)/python -m difflr.experiments.strokenet --out difflr/experiments/weights/strokenet.safetensors

clean:
	rm -rf $(VENV)
