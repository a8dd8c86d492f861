"""A worker's side: call what opens files as the settings say, and report what became of its sandbox."""

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from safelight.config import settings
from safelight.db.engine import transaction
from safelight.pictures import child, faces
from safelight.pictures.errors import SandboxUnavailable, SandboxViolation
from safelight.sandbox.errors import SandboxMissing
from safelight.sandboxes import reports
from safelight.sandboxes.reports import State
from safelight.telemetry import kind

log = logging.getLogger(__name__)

RENEW_SECONDS = 20.0
"""Between two reports of a worker that runs all the time."""
_GOOD_SECONDS = 3 * RENEW_SECONDS
# On Lambda only jobs report, and those that wait are looked at with each sweep, every five minutes.
_MISSING_SECONDS = 600.0

_NOT_STARTED = "the process that opens photos does not start"


def report() -> None:
    """Prove the sandbox if that was not done yet, and report. Raises Unavailable without a database."""
    reason = _proved()
    state: State = "missing" if reason else _configured()
    with transaction() as session:
        reports.renew(session, worker_name(), state, reason, _GOOD_SECONDS)


def watched[R](call: Callable[..., R]) -> Callable[..., R]:
    """`call` (`child.render`, `faces.find`) with the sandbox that the settings ask for.

    An attempt to break out is counted, and a sandbox that is missing reported; both are raised as they were.
    """
    _configure()

    def run(*arguments: object) -> R:
        try:
            return call(*arguments)
        except SandboxViolation:
            _violation()
            raise
        except SandboxUnavailable as error:
            _missing(error.detail)
            raise

    return run


def _proved() -> str | None:
    """Why the sandbox is missing, if it is. The search for faces is only asked if its last proof failed."""
    _configure()
    try:
        child.NURSERY.prove()
        if faces.NURSERY.refusal:
            faces.NURSERY.prove()
    except SandboxMissing as error:
        return error.reason
    except OSError:
        return _NOT_STARTED
    return None


def _violation() -> None:
    _emit("SandboxViolations", 1)
    with _kept("a violation of the sandbox is in the log, but not in the count"), transaction() as session:
        reports.count_violation(session, worker_name(), _configured())


def _missing(reason: str) -> None:
    _emit("SandboxOk", 0)
    seconds = _MISSING_SECONDS if settings().aws_lambda_function_name else _GOOD_SECONDS
    with _kept("the sandbox is missing, but not reported"), transaction() as session:
        reports.renew(session, worker_name(), "missing", reason, seconds)


@contextmanager
def _kept(what: str) -> Iterator[None]:
    """Log an error of a report and go on: the error that is reported decides what becomes of the photo."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  the table may be missing, too, between a deploy and its migration
        log.warning(what, extra={"error": kind(error)})


def _emit(name: str, value: float) -> None:
    """A metric in CloudWatch's embedded format, read off the log: on Lambda alone."""
    if settings().aws_lambda_function_name:
        with single_metric(name, MetricUnit.Count, value):
            pass


def _configure() -> None:
    child.NURSERY.required = faces.NURSERY.required = settings().sandbox == "required"


def _configured() -> State:
    return "ok" if settings().sandbox == "required" else "platform"


def worker_name() -> str:
    """The function's name on Lambda; elsewhere host and process, since a host may run several workers."""
    return settings().aws_lambda_function_name or f"{socket.gethostname()}:{os.getpid()}"
