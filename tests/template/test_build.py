"""What `sam build` would upload, made by the same Makefiles: sizes, bytecode, processor."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from safelight.config import MIB
from tests.template import document

# docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: function and layers together, unpacked.
UNPACKED = 250 * MIB
# Above this a ZIP has to go by way of S3, as SAM sends it; below it the console can still show a function's code.
SHOWN_IN_CONSOLE = 3 * MIB
IMAGING = 60 * MIB
# The same page: a ZIP of a function or of a layer that is uploaded as it is.
ZIPPED = 50 * MIB
AARCH64 = 183  # e_machine in an ELF header


def make(folder: str, name: str, artifacts: Path) -> subprocess.Popen[str]:
    """The step that SAM's makefile builder takes, in the folder where it takes it."""
    artifacts.mkdir(parents=True)
    makefile = document.ROOT / folder / "Makefile"
    command = ["make", "--silent", "--makefile", str(makefile), f"build-{name}"]
    return subprocess.Popen(
        [*command, f"ARTIFACTS_DIR={artifacts}", f"PYTHON={sys.executable}"],
        cwd=document.ROOT / folder,
        # Not the options of a make that runs these tests.
        env={variable: value for variable, value in os.environ.items() if not variable.startswith("MAKE")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one folder per layer and function; built once, also when several processes run the tests."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "sam-build"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            layers = document.resources("AWS::Serverless::LayerVersion")
            running = {name: make(layer["ContentUri"], name, shared / name) for name, layer in layers.items()}
            for name, function in document.functions().items():
                running[name] = make(function["CodeUri"], name, shared / name)
            said = {name: process.communicate(timeout=600)[0] for name, process in running.items()}
            failed = {name: said[name] for name, process in running.items() if process.returncode}
            assert not failed, failed
    return shared


def unpacked(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_function_with_its_layers_fits(built: Path) -> None:
    for name, function in document.functions().items():
        layers = [layer["Ref"] for layer in function["Layers"] if "Ref" in layer]
        total = unpacked(built / name) + sum(unpacked(built / layer) for layer in layers)
        # The Web Adapter's layer is not here; it has some 5 MB.
        assert total + 10 * MIB < UNPACKED, f"{name}: {total / MIB:.0f} MiB"
    assert unpacked(built / "ImagingLayer") < IMAGING


def zipped(folder: Path, target: Path) -> int:
    """Bytes of the ZIP that would be uploaded."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return target.stat().st_size


def test_a_function_alone_stays_small(built: Path, tmp_path: Path) -> None:
    for name in document.functions():
        assert zipped(built / name, tmp_path / f"{name}.zip") < SHOWN_IN_CONSOLE
        assert not (built / name / "Makefile").exists()


def test_the_imaging_layer_can_be_uploaded_as_it_is(built: Path, tmp_path: Path) -> None:
    layer = built / "ImagingLayer"
    assert zipped(layer, tmp_path / "imaging.zip") < ZIPPED
    shipped = {path.name for path in (layer / "python").iterdir()}
    assert {"pyvips", "_pi_heif.cpython-313-aarch64-linux-gnu.so", "thumbhash"} <= shipped
    # A second set of decoders, an encoder under the GPL, 66 MB of arithmetic: nothing here needs them.
    assert not {"PIL", "_pillow_heif.cpython-313-aarch64-linux-gnu.so", "numpy", "cv2"} & shipped


def test_every_module_ships_bytecode_that_is_never_stale(built: Path) -> None:
    sources = [path for path in built.rglob("*.py") if "templates" not in path.parts]
    assert len(sources) > 1000
    for source in sources:
        bytecode = Path(importlib.util.cache_from_source(str(source)))
        if not bytecode.exists():
            # Templates that only look like modules, and sources for other versions, do not compile anywhere.
            assert subprocess.run([sys.executable, "-m", "py_compile", source], capture_output=True).returncode, source
            continue
        head = bytecode.read_bytes()[:8]
        assert head[:4] == importlib.util.MAGIC_NUMBER
        # PEP 552: bit 0 says checked by hash and not by date, bit 1 says look at the source; 1 is "hash, never look".
        assert struct.unpack("<I", head[4:])[0] == 1, bytecode


def test_tracebacks_name_the_places_on_lambda(built: Path) -> None:
    bytecode = Path(importlib.util.cache_from_source(str(built / "CoreLayer" / "python" / "safelight" / "errors.py")))
    assert b"/opt/python/safelight/errors.py" in bytecode.read_bytes()


def test_compiled_modules_are_for_the_processor_of_the_template(built: Path) -> None:
    modules = [path for path in built.rglob("*.so*") if path.is_file()]
    assert {"_libvips.abi3.so"} <= {path.name for path in modules}
    for path in modules:
        head = path.read_bytes()[:20]
        assert head[:4] == b"\x7fELF", path
        assert struct.unpack("<H", head[18:20])[0] == AARCH64, path


def test_the_thinned_sdk_still_makes_a_client(built: Path) -> None:
    program = (
        "import boto3; boto3.client('s3', region_name='eu-west-1').meta.service_model.operation_model('CopyObject')"
    )
    environment = {"PYTHONPATH": str(built / "CoreLayer" / "python"), "HOME": str(built), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-S", "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_start_script_of_the_streaming_function_can_run(built: Path) -> None:
    script = built / "DownloadsFunction" / "run.sh"
    assert script.stat().st_mode & 0o111
    assert b"\r" not in script.read_bytes()


def test_the_migrations_travel_with_their_function(built: Path) -> None:
    shipped = {path.name for path in (built / "MigrateFunction" / "migrations" / "versions").glob("*.py")}
    assert shipped == {path.name for path in (document.ROOT / "migrations" / "versions").glob("*.py")}
    assert (built / "MigrateFunction" / "alembic.ini").is_file()
