# The README's commands. They need Python (3.11 or newer), pip and make, nothing else.
VENV ?= .venv
PYTHON ?= python3
# For a small, CPU-only install on Linux: make install TORCH_INDEX=<the address of PyTorch's CPU wheels>
TORCH_INDEX ?=
PIP = $(VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: demo install test lint

# Trains MADE, diffusion, a deep belief network, moment matching and DRAW on the digits inside the package, scores
# them, writes the gallery.
demo: install
	$(VENV)/bin/genlab train experiment=digits_made folder=demo --resume auto
	$(VENV)/bin/genlab train experiment=digits_diffusion folder=demo --resume auto
	$(VENV)/bin/genlab train experiment=digits_dbn folder=demo --resume auto
	$(VENV)/bin/genlab train experiment=digits_gmmn_ae folder=demo --resume auto
	$(VENV)/bin/genlab train experiment=digits_draw stages.fit.max_epochs=60 likelihood.k=50 folder=demo --resume auto
	$(VENV)/bin/genlab compare demo/*
	$(VENV)/bin/genlab gallery demo/* -o gallery

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[dev]'
	touch $@

test: install
	$(VENV)/bin/python -m pytest $(ARGS)

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python
	$(VENV)/bin/lint-imports
