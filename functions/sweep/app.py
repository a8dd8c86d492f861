"""Finishes, expires and erases what stopped half-way; on a schedule."""

import dataclasses
from typing import Any

from safelight.sweep import run
from safelight.telemetry import logger

log = logger()


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """One sweep; says how many of each it dealt with."""
    swept = dataclasses.asdict(run())
    log.info("swept", extra={"swept": swept})
    return swept
