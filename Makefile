# make demo    render a study, send machine participants through it, analyse it
# make study   render the embedded demo study
# make serve   the demo study on this computer, with a link to try it
# make test    every test        make lint   ruff and mypy
# make bench   the tables of the README's performance section (DEVICE=cuda: rendering on a GPU)
# make tables  those of docs/method.md
# make lock    pin the dependencies anew     make reference   freeze lme4's results anew (needs R)
PYTHON ?= python3
BIN := .venv/bin
STUDY ?= stimuli/studies/demo.toml
OUT ?= studies/demo
PORT ?= 5000
RUN ?= $(OUT)-rehearsal
BENCH ?= benchmarks
DEVICE ?= cpu

.PHONY: setup demo study serve test lint bench tables lock reference clean

setup: .venv/ready

.venv/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed; this is %d.%d. Try: make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: study
	$(BIN)/python -m stimuli.observers $(OUT) --out $(RUN)/observers.csv
	STUDY=$(OUT) $(BIN)/flask --app experiment_server rehearse --out $(RUN)/export --force \
	  --participants 120 --observer peers --observations $(RUN)/observers.csv
	$(BIN)/python -m analysis $(RUN)/export --bundle $(OUT) --out $(RUN)/report
	@echo "The study: $(OUT)/overview.html   Its result: $(RUN)/report/report.html"

study: setup
	$(BIN)/python -m stimuli.build $(STUDY) --out $(OUT)

serve: setup
	@test -f $(OUT)/study.json || $(MAKE) study
	STUDY=$(OUT) $(BIN)/flask --app experiment_server serve --port $(PORT)

test: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Those compared with are not depended on: they live in a folder of their own.
.venv/rivals: | setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $@ horama==0.3.0 \
	  dreamlens==0.1.1 einops \
	  matplotlib contourpy cycler fonttools kiwisolver pyparsing python-dateutil six

bench: setup .venv/rivals
	mkdir -p $(BENCH)
	$(BIN)/python tests/benchmarks/starting.py --json $(BENCH)/starting.json
	PYTHONPATH=.venv/rivals $(BIN)/python tests/benchmarks/rendering.py --device $(DEVICE) \
	  --json $(BENCH)/rendering-$(DEVICE).json
	$(BIN)/python tests/benchmarks/sweeping.py --json $(BENCH)/sweeping.json
	$(BIN)/python tests/benchmarks/mixed_models.py --json $(BENCH)/mixed_models.json

tables: setup
	$(BIN)/python tests/benchmarks/spectra.py
	$(BIN)/python tests/benchmarks/pixel_maps.py
	$(BIN)/python tests/benchmarks/pixel_maps.py --schedule constant

lock: setup
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --output-file requirements.lock

reference:
	@command -v Rscript > /dev/null || { echo "Rscript is missing: install R with lme4, emmeans, car, mvtnorm and jsonlite (Debian: r-cran-lme4 r-cran-emmeans r-cran-car r-cran-mvtnorm r-cran-jsonlite)"; exit 1; }
	Rscript tests/analysis/reference/freeze.R tests/analysis/data/lme4
	cd tests/analysis/data/emmeans && Rscript freeze.R

clean:
	rm -rf .venv studies/demo studies/demo.partial studies/demo-rehearsal instance
