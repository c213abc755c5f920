# The environment and what can be made anew in seconds lie in .venv; results, which may have taken hours, in
# runs/, which `make clean` leaves alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/peers
OUT ?= runs
BENCH ?= $(OUT)/bench.md
CLOCK ?= wall
WORKERS ?= 2

# Stops where a path is not given or not there; asked before anything is built.
given = $(foreach name,$(1),$(if $(wildcard $($(name))),,$(error $(name)=$($(name)): pass an existing path, \
  make $(MAKECMDGOALS) needs $(1))))
$(if $(filter bench rivals compare-pictures,$(MAKECMDGOALS)),$(call given,CIFAR_FOLDER WEIGHTS))
$(if $(filter rivals,$(MAKECMDGOALS)),$(call given,SOURCE))

export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/.cache/pycache
export PYTHONDONTWRITEBYTECODE :=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export WORKERS
export DIFFLR_SCREENSHOTS ?= $(CURDIR)/$(VENV)/screenshots

.PHONY: env run test test-fast families works-with fuzz attack lint format docs notebooks solved bench peers rivals lab help recorded-pictures filmstrips compare-pictures weights clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-18s %s\n", $$1, $$2 }'

env: $(READY) ## .venv with everything in it

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $(READY)

run: env ## the main job: uniform against differential fine-tuning, into runs/strokes
	$(BIN)/difflr compare --data strokes --out $(OUT)/strokes

# Everything, WORKERS test files at a time, one thread each (two that wait for each other take
# far longer than one). Then, WORKERS of them at a time: the widgets with the versions that Colab has, the core
# with the package lightning and with the oldest Lightning, and the models of timm, transformers and PEFT.
ENVIRONMENTS := old_widgets both_lightnings peers old_lightning
test test-fast: export OMP_NUM_THREADS := 1
test: env ## every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
	printf '%s\n' $(ENVIRONMENTS) | WORKERS=0 xargs -P $(WORKERS) -I NAME sh tests/support/NAME.sh $(BIN)/python

families: env ## all families of timm, rather than the fifth that make test takes (ten minutes)
	DIFFLR_FAMILIES=all sh tests/support/peers.sh $(BIN)/python

works-with: env ## write docs/works-with.md anew, by trying each model on it
	sh tests/support/peers.sh $(BIN)/python .venv/model-peers tests/support/works_with.py

# The core and what lies below it, the range test, pictures and numbers, for work in between: no browser and no lesson is run.
test-fast: env ## the core's tests, and those of numbers and pictures: about two minutes
	$(BIN)/python -m pytest -n $(WORKERS) tests/written tests/core tests/models tests/rangetest tests/figures tests/evidence

# Bytes bent towards code not yet reached, for as long as you like (make fuzz FUZZ_SECONDS=3600); what was found
# lies in $(OUT)/fuzz, and the next one goes on from it.
FUZZ_SECONDS ?= 300
fuzz: env ## coverage-guided fuzzing, FUZZ_SECONDS long
	$(BIN)/python -m pip install --quiet atheris
	mkdir -p $(OUT)/fuzz
	$(BIN)/python tests/fuzz/fuzz.py -max_total_time=$(FUZZ_SECONDS) -max_len=600 -len_control=10 \
	  -artifact_prefix=$(OUT)/fuzz/ $(OUT)/fuzz

# Hostile inputs, kill -9 at random moments, kinds of pictures: exit 1 where a figure is not as promised.
INPUTS ?= 100000
KILLS ?= 200
attack: export OMP_NUM_THREADS := 1
attack: env ## 100,000 hostile inputs and 200 kills, counted: INPUTS=20000 KILLS=20 takes less
	$(BIN)/python tests/fuzz/attack.py --inputs $(INPUTS) --kills $(KILLS)

# Everything about speed, side by side with the peers, in one table ($(BENCH)). CLOCK=cpu counts processor
# time, for a machine that has other work; THREADS limits torch.
bench: env peers ## speed beside the peers: pass CIFAR_FOLDER and WEIGHTS
	$(if $(THREADS),OMP_NUM_THREADS=$(THREADS)) $(BIN)/python benchmarks/bench.py --data $(CIFAR_FOLDER) \
	  --weights $(WEIGHTS) --peers $(PEERS)/bin/python --clock $(CLOCK) --out $(BENCH)

# An environment of their own for the packages that difflr is measured against, and their recipes' runs
# (hours; it goes on where it stopped).
peers: $(PEERS)/.ready ## an environment for the peers

$(PEERS)/.ready: benchmarks/peers.txt pyproject.toml constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -c constraints.txt -r benchmarks/peers.txt -e ".[studies]"
	touch $@

rivals: peers ## the peers' own recipes (hours): pass CIFAR_FOLDER, WEIGHTS and SOURCE
	OMP_NUM_THREADS=1 $(PEERS)/bin/python benchmarks/rivals.py --data $(CIFAR_FOLDER) --weights $(WEIGHTS) \
	  --source $(SOURCE) --out $(OUT)/rivals

lint: env ## format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --cache-dir $(VENV)/.cache/import-linter

format: env ## mend the format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The site: docs/_build/html/index.html. A warning is an error.
docs: env ## the site
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build/html

# Lessons: run each .py and write its .ipynb with the outputs that are meant to be read.
notebooks: env ## run the lessons and write their .ipynb
	$(BIN)/python notebooks/execute.py

# For teachers: lessons with their solutions filled in, and lessons with the solutions taken out.
solved: env ## lessons with their solutions, and without
	$(BIN)/python notebooks/derive.py --solved $(VENV)/solved
	$(BIN)/python notebooks/derive.py --without-solutions $(VENV)/without-solutions

lab: env ## JupyterLab with the lessons
	$(BIN)/jupyter lab --notebook-dir notebooks

# The pictures of the recorded studies that README and Evidence show: seconds, nothing is trained.
recorded-pictures: env ## redraw the pictures of the recorded studies (seconds)
	for study in plateau recipes which_splits frozen_bn causes peak networks text vit; do \
	  $(BIN)/python -m difflr.evidence.gallery $$study --out $(OUT)/gallery >/dev/null || exit 1; done
	for picture in plateau-500 forgetting-500 which-splits; do \
	  cp $(OUT)/gallery/$$picture.png images/; done
	cp $(OUT)/gallery/recipes-cpu-seconds.png images/recipes.png
	for study in causes peak networks text vit; do \
	  cp $(OUT)/gallery/$$study-gains.png images/$$study.png; done

# The widgets as a learner uses them, in a headless Chromium: a strip of four frames for each.
filmstrips: env ## redraw the film strips of the widgets (minutes; needs Chromium)
	$(BIN)/python benchmarks/filmstrips.py

# The comparison of four recipes in Evidence (there, "How it was made") and its curves in the recipe of 2020.
compare-pictures: env ## train four recipes on CIFAR_FOLDER with WEIGHTS and draw them (a minute)
	$(BIN)/difflr compare --data $(CIFAR_FOLDER) --weights $(WEIGHTS) --seeds 3 \
	  --recipes uniform:lr=1e-3 head_only:lr=1e-2 differential:lr=3e-3 milestones_2020 \
	  --out $(OUT)/photographs
	cp $(OUT)/photographs/compare.png images/compare.png
	cp $(OUT)/photographs/results.json images/compare.json
	$(BIN)/difflr curves $(OUT)/photographs/tensorboard/milestones_2020-0 --out images/lrs.png \
	  --title "The milestones of 2020, as logged to TensorBoard"

# The embedded weights, pre-trained on the source task of the strokes.
weights: env ## train the strokes' weights anew
	$(BIN)/python -m difflr.experiments.strokenet --out difflr/experiments/weights/strokenet.safetensors

clean: ## remove .venv; runs/ stays
	rm -rf $(VENV)
