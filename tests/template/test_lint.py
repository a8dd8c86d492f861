"""The template passes SAM's own validation with cfn-lint, as `sam deploy` would see it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.template import document

SAM = document.ROOT / ".venv-tools" / "sam" / "bin" / "sam"


@pytest.mark.long  # `make template`, a step of the gate, does the same
def test_sam_validate_lint_is_clean(tmp_path: Path) -> None:
    subprocess.run(["make", "sam"], cwd=document.ROOT, check=True, timeout=300)
    # Neither the settings nor the credentials of whoever runs the tests, and nothing written into their home.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [SAM, "validate", "--lint"], cwd=document.ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid SAM Template" in done.stdout
