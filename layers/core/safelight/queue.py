"""Waking workers. The jobs table is the queue; a wake-up only saves the wait for the next look at it.

On AWS a wake-up is a small object `jobs/{kind}/{job_id}`: functions in private subnets reach S3 by the free gateway
endpoint, and the bucket's event feeds SQS. On one machine the worker watches the table and needs no waking.
"""

import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from safelight.errors import StorageUnavailable

log = logging.getLogger(__name__)

_AT_A_TIME = 8  # as many idle connections as the light store keeps


class Writes(Protocol):
    """The part of a store that a wake-up needs."""

    def write(self, key: str, data: bytes, content_type: str) -> object:
        """Put a small object. Raises StorageUnavailable."""


class Queue:
    """Wakes workers through `store`, or nobody when there is none."""

    def __init__(self, store: Writes | None = None) -> None:
        self._store = store

    def wake(self, kind: str, job_id: uuid.UUID) -> None:
        """Say that a job is due. Losing it loses time only: the sweep wakes whoever sleeps on due work."""
        try:
            self.send(kind, job_id)
        except StorageUnavailable:
            log.warning("wake-up not sent", extra={"job_id": str(job_id), "kind": kind})

    def send(self, kind: str, job_id: uuid.UUID) -> None:
        """As `wake`, for a caller that is called again when it fails. Raises StorageUnavailable."""
        if self._store is not None:
            self._store.write(wake_key(kind, job_id), b"", "application/octet-stream")

    def wake_all(self, kind: str, job_ids: Sequence[uuid.UUID]) -> None:
        """Say so of many, several at a time: somebody waits for the answer meanwhile."""
        if self._store is None or not job_ids:
            return
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            list(threads.map(lambda job_id: self.wake(kind, job_id), job_ids))


def wake_key(kind: str, job_id: uuid.UUID) -> str:
    """Where a wake-up is put; its prefix decides whose queue hears of it."""
    return f"jobs/{kind}/{job_id}"
