# make demo   a trained, evaluated, visualised face model on synthetic data, on a CPU, in minutes
# make demo-parts   the same for 28 body parts; make demo-depth, demo-normal: depth, normals
# make demo-pretrain   masked autoencoding, then body parts from it and from scratch, compared
# make demo-pose   17 keypoints of people
# make gallery   parts, depth, normals and keypoints of one picture, by four of these demos: the sheet of the README
# make test   the tests, on two cores
# make lint   style, format and types
# All of them first make .venv with the tested versions (constraints.txt), once.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: setup demo gallery test lint clean

setup: $(INSTALLED)

$(INSTALLED): setup.py constraints.txt
	@echo "Making .venv and installing the tested versions into it; torch alone takes a while."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: demo-face

demo-%: $(INSTALLED)
	$(BIN)/mmsapiens demo $*

GALLERY ?= $(or $(DATA_ROOT),data)/synthetic_parts/images/000220.jpg
gallery: demo-parts demo-depth demo-normal demo-pose
	$(BIN)/mmsapiens gallery $(GALLERY) --height 320 --output docs/gallery.jpg \
		$(foreach task,parts depth normal pose,$$(ls -t work_dirs/demo_$(task)/best_*.pth | head -1))

test: $(INSTALLED)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
		$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf .venv data/synthetic_* work_dirs/demo_*
