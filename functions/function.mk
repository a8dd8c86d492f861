# How SAM builds a function: its own files and their bytecode. Everything else comes from the layers.
ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/..)
PYTHON ?= $(firstword $(wildcard $(ROOT)/.venv/bin/python) python3.13)

define build
	cp -R . $(ARTIFACTS_DIR)
	rm -f $(ARTIFACTS_DIR)/Makefile
	$(extra)
	find $(ARTIFACTS_DIR) -name __pycache__ -type d -prune -exec rm -rf {} +
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13) and "bytecode for Lambda needs Python 3.13")'
	env -u PYTHONDONTWRITEBYTECODE $(PYTHON) -m compileall -q -f --invalidation-mode unchecked-hash -s $(ARTIFACTS_DIR) -p /var/task $(ARTIFACTS_DIR)
endef

build-%:
	$(build)
