# How SAM builds a layer (Metadata: BuildMethod: makefile): wheels for Lambda's machine from hashed requirements, then bytecode.
# A layer's Makefile sets ROOT and REQUIREMENTS, includes this and may add a step of its own. SOURCES are the packages that
# have no wheel and are plain Python.
#   MACHINE=x86_64   build for an Intel machine instead (sam local and the cold start benchmark on such a machine)
MACHINE ?= aarch64
SOURCES ?= :none:
PYTHON ?= $(firstword $(wildcard $(ROOT)/.venv/bin/python) python3.13)
TARGET = $(ARTIFACTS_DIR)/python

# Amazon Linux 2023 has glibc 2.34. pip takes each tag by its exact name, and wheels are named after many.
PLATFORMS = $(foreach tag,manylinux_2_34 manylinux_2_28 manylinux_2_27 manylinux_2_26 manylinux_2_24 manylinux_2_17 manylinux2014,--platform $(tag)_$(MACHINE))

define install
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes \
		--only-binary :all: --no-binary $(SOURCES) --implementation cp --python-version 3.13 $(PLATFORMS) \
		--target $(TARGET) --requirement $(ROOT)/requirements/$(REQUIREMENTS)
	rm -rf $(TARGET)/bin
endef

# The ZIP that SAM makes dates every file 1980, so bytecode that is checked by date would be stale at once: each cold
# start would compile everything again. Unchecked bytecode is simply used. Bytecode belongs to one minor version.
define compile
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13) and "bytecode for Lambda needs Python 3.13")'
	env -u PYTHONDONTWRITEBYTECODE $(PYTHON) -m compileall -q -f -j 0 --invalidation-mode unchecked-hash -s $(TARGET) -p /opt/python $(TARGET)
endef
