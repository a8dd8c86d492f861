"""Every hostile and odd file of `hostile`, as the worker would process it: a photo or a reason, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

GIB = 1024**3
ROOT = Path(__file__).resolve().parents[3]


def test_every_file_becomes_a_photo_or_is_refused_with_a_reason() -> None:
    command = [sys.executable, "-m", "tests.core.pictures.corpus"]
    path = f"{ROOT}:{ROOT / 'layers' / 'core'}"
    run = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": path}, stdout=subprocess.PIPE, check=True)
    endings = json.loads(run.stdout)
    assert not endings["wrong"], "\n".join(endings["wrong"])
    assert not endings["fell"], "the warm process fell"
    assert endings["left"] == 0
    assert 0 < endings["peak"] < GIB
    assert min(endings["ready"], len(endings["reasons"])) > 300, "the corpus has enough of both"
    assert endings["ready"] + len(endings["reasons"]) > 800
