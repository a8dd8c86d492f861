"""Call the real Lambda handlers in this process, as Lambda would: one event at a time in each environment."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from local.template import Function
from safelight.config import connected_to, settings

ACCOUNT = "000000000000"
_loading = threading.RLock()


@dataclass
class Context:
    """What Lambda passes beside the event; the names are Lambda's."""

    function_name: str
    memory_limit_in_mb: int
    deadline: float
    """On the monotonic clock, seconds."""
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_version: str = "$LATEST"
    log_stream_name: str = "local"
    client_context: None = None
    identity: None = None

    @property
    def invoked_function_arn(self) -> str:
        """As if it ran in us-east-1."""
        return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """Lambda's default name."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end this invocation."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def load(function: Function) -> ModuleType:
    """Import the function's `app.py` once.

    Every function has a module of that name, so each is registered under a name of its own. Its variables are set
    while it is imported, for what reads them then.
    """
    name = f"safelight_function_{function.name}"
    with _loading:
        if name in sys.modules:
            return sys.modules[name]
        module_name = "app" if function.is_asgi else function.handler.rsplit(".", 1)[0]
        path = function.directory / (module_name.replace(".", "/") + ".py")
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{function.name}: no module at {path}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            with _variables(function.environment):
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module


class Handler:
    """A function's Python handler and the threads that run it, each with an event loop of its own (Mangum needs one).

    `concurrency` is the number of events handled at a time, as if Lambda had that many environments.
    """

    def __init__(self, function: Function, *, concurrency: int = 8) -> None:
        self.function = function
        self._loops: list[asyncio.AbstractEventLoop] = []
        self._threads = ThreadPoolExecutor(concurrency, function.name, initializer=self._give_loop)
        self._call: Callable[[dict[str, Any], Context], Any] | None = None

    def load(self) -> None:
        """Import it now: a mistake shows at start and not at the first request."""
        if self._call is None:
            self._call = getattr(load(self.function), self.function.handler.rsplit(".", 1)[1])

    async def invoke(self, event: dict[str, Any], *, timeout: float) -> Any:  # noqa: ASYNC109 - API Gateway's own limit
        """The handler's answer. Raises TimeoutError after `timeout` seconds, or whatever the handler raised."""
        seconds = min(timeout, self.function.timeout)
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.run_in_executor(self._threads, self.call, event), seconds)

    def call(self, event: dict[str, Any]) -> Any:
        """The handler's answer, in the calling thread, which must have an event loop."""
        self.load()
        assert self._call is not None
        function = self.function
        context = Context(function.name, function.memory, time.monotonic() + function.timeout)
        with as_role(function):
            return self._call(event, context)

    def start(self, event: dict[str, Any]) -> Future[Any]:
        """Run it in one of the threads; the future holds the answer or what the handler raised."""
        return self._threads.submit(self.call, event)

    def close(self) -> None:
        """Finish what runs and take no more."""
        self._threads.shutdown(cancel_futures=True)
        for loop in self._loops:
            loop.close()

    def _give_loop(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loops.append(loop)


def as_role(function: Function) -> contextlib.AbstractContextManager[None]:
    """Connect to the database as the function's own role until the block ends, if that role's password is known."""
    if not function.role:
        return contextlib.nullcontext()
    return connected_to(settings().database_url_as(function.role))


@contextlib.contextmanager
def _variables(wanted: dict[str, str]) -> Iterator[None]:
    """Set environment variables that are not set, and take them away again."""
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
