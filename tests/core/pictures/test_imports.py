"""What a worker loads before its first picture."""

import subprocess
import sys

# Standard library included, our own modules not. One more library by accident, and it is hundreds more.
MOST = 146
HEAVY = {"PIL", "numpy", "cv2", "sqlalchemy", "fastapi", "boto3", "botocore", "pydantic", "pillow_heif", "pi_heif"}


def loaded(module: str) -> set[str]:
    """The modules of a process that has imported this one and nothing else."""
    code = f"import sys; sys.path[:] = {sys.path!r}; import {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_the_warm_process_loads_the_decoders_and_little_else() -> None:
    modules = loaded("safelight.pictures.inside")
    assert {"pyvips", "_libvips", "_pi_heif", "thumbhash"} <= modules
    # PIL stands there as forbidden, which keeps thumbhash from loading it.
    assert not {name for name in modules if name.split(".")[0] in HEAVY - {"PIL"} or name.startswith("PIL.")}
    foreign = {name for name in modules if name.split(".")[0] != "safelight"}
    assert len(foreign) < MOST, len(foreign)


def test_the_worker_itself_loads_no_decoder() -> None:
    modules = loaded("safelight.pictures.child")
    assert not {"pyvips", "_libvips", "_pi_heif", "thumbhash", "PIL"} & modules
