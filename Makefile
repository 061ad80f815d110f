# The README's commands. They need Python (3.11 or newer), pip and make, nothing else.
VENV ?= .venv
# The packages under plugins/ have an environment of their own.
PLUGIN_VENV = $(VENV)-plugins
PYTHON ?= python3
# For a small, CPU-only install on Linux: make install TORCH_INDEX=<the address of PyTorch's CPU wheels>
TORCH_INDEX ?=
# Test files are shared out among so many processes.
WORKERS ?= 2
PIP = $(VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: demo gallery install test test-browser test-plugins lint

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

# The committed gallery, samples/. Its runs are trained one after the other, about six hours of one core; stopped, it
# goes on where it was. MNIST and the like are read from GENLAB_DATA (genlab data fetch mnist).
GALLERY = digits_made digits_rbm digits_dbn spn_digits digits_draw digits_diffusion digits_gmmn digits_gmmn_ae \
	toy2d_diffusion toy2d_nsf toy2d_made heartbeat_diffusion made_tabular learnspn_nltcs nsf_tabular \
	made_mnist_fast mnist_rbm mnist_rbm_cd1 mnist_dbn mnist_draw_attention mnist_absorbing \
	mnist_gmmn_ae fashion_gmmn_ae mnist_gmmn
GALLERY_RUNS = runs/gallery
$(GALLERY_RUNS)/toy2d_%: WORDS = data.name=swiss_roll
$(GALLERY_RUNS)/%_tabular: WORDS = data=debd data.name=nltcs
$(GALLERY_RUNS)/%_mnist_fast $(GALLERY_RUNS)/mnist_% $(GALLERY_RUNS)/fashion_%: WORDS = samples=1000

gallery: $(GALLERY:%=$(GALLERY_RUNS)/%)
	$(VENV)/bin/genlab gallery $^ -o samples --readme

$(GALLERY_RUNS)/%: | $(PLUGIN_VENV)/.installed
	$(PLUGIN_VENV)/bin/python -m genlab train experiment=$* metric=all $(WORDS) folder=$(GALLERY_RUNS)/.$* --resume auto
	mv $(GALLERY_RUNS)/.$*/* $@

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[dev]'
	touch $@

test: install
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

# The gallery's pages in a real browser: Debian's Chromium and Playwright, installed where they are missing.
CHROMIUM ?= chromium

test-browser: install
	command -v $(CHROMIUM) || $(if $(filter-out 0,$(shell id -u)),sudo) sh -c 'apt-get update -q && apt-get install -q -y $(CHROMIUM)'
	$(PIP) -e '.[browser]'
	GENLAB_BROWSER=$(CHROMIUM) $(VENV)/bin/python -m pytest -n $(WORKERS) tests/gallery/browser $(ARGS)

# The environment of the plugins sees that of the core and adds to it.
PLUGINS = $(wildcard plugins/*)

$(PLUGIN_VENV)/.installed: $(VENV)/.installed $(PLUGINS:=/pyproject.toml)
	$(VENV)/bin/python -m venv --without-pip --clear $(PLUGIN_VENV)
	$(VENV)/bin/python -c "import sysconfig; print(f'import site; site.addsitedir({sysconfig.get_path(\"purelib\")!r})')" \
		> $$($(PLUGIN_VENV)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/core.pth
	PIP_PYTHON=$(PLUGIN_VENV)/bin/python $(PIP) --no-build-isolation $(addprefix -e ./,$(PLUGINS))
	touch $@

test-plugins: $(PLUGIN_VENV)/.installed
	$(VENV)/bin/ruff check plugins
	$(VENV)/bin/ruff format --check plugins
	$(VENV)/bin/pyright --pythonpath $(PLUGIN_VENV)/bin/python plugins/*/src
	set -e; for each in $(PLUGINS); do \
		$(PLUGIN_VENV)/bin/python -m pytest -c $$each/pyproject.toml $$each/tests $(ARGS); done

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python
	$(VENV)/bin/lint-imports
