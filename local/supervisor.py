"""Start the parts in order, keep them running, stop them together."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local import closing, orphans, tables
from local.addresses import listen, wanted_port
from local.bucket import REGION
from local.home import Home
from local.objectstore import ObjectStore
from local.postgres import Postgres
from local.process import StartError, free_ports, get, launch, stop, tail
from local.storeports import remembered
from local.template import Template

ROOT = Path(__file__).resolve().parent.parent
BUCKET = "safelight"
LOOK_SECONDS = 0.2
LOG_SECONDS = 5.0
"""Between looks at the size of the logs."""
STEADY_SECONDS = 5.0
"""A part that ran this long and ended is started again at once; one that ended sooner has to wait."""
POOL = "16"
"""Connections that the gateway may keep: one process stands for many of Lambda's, which have one each."""
STOP_SECONDS = 10.0
"""For running requests and jobs; what is cut off then is taken up at the next start."""

Say = Callable[[str], None]


@dataclass
class Child:
    """One of our own programs: the gateway or the worker."""

    name: str
    arguments: list[str]
    descriptors: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0

    @property
    def runs(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """The local stack of one home.

    Args:
        home: Its directory.
        environment: Of whoever started us. `DATABASE_URL` and `S3_ENDPOINT` take the place of the embedded parts;
            every other setting of the product is handed on.
        port: Where the gateway listens, on 127.0.0.1.
        template: The template to run; the repository's own but in tests.
        say: Told what happens, a line at a time.
    """

    def __init__(
        self, home: Home, environment: Mapping[str, str], port: int, *, template: Path | None = None, say: Say
    ) -> None:
        self.home = home
        self.port = port
        self._given = dict(environment)
        self._template = template or ROOT / "template.yaml"
        self._say = say
        self._secrets = home.secrets()
        self._listener = listen(port)
        self._postgres: Postgres | None = None
        self._store: ObjectStore | None = None
        if not self._given.get("DATABASE_URL"):
            self._postgres = Postgres(home.directory / "postgres", None, self._secrets.database_password)
        if not self._given.get("S3_ENDPOINT"):
            keys = self._secrets.access_key, self._secrets.secret_key
            directory = home.directory / "objects"
            # fixed before the first start, because gateway and worker are told while the store still starts
            port = wanted_port(self._given, "S3_PORT") or remembered(directory) or free_ports(1)[0]
            self._store = ObjectStore(directory, *keys, port=port, origin=self.url)
        template_arguments = ["--template", str(self._template)]
        descriptor = self._listener.fileno()
        self._gateway = Child("gateway", ["local.gateway", *template_arguments, "--fd", str(descriptor)], (descriptor,))
        self._worker = Child("worker", ["local.worker", *template_arguments])
        self._children = [self._gateway, self._worker]
        self._environment: dict[str, str] = {}
        self._parts_start_at = 0.0
        self.changed = threading.Event()

    @property
    def url(self) -> str:
        """Where the product answers."""
        return self._given.get("BASE_URL") or f"http://127.0.0.1:{self.port}"

    @property
    def _database_url(self) -> str:
        return self._given["DATABASE_URL"] if self._postgres is None else self._postgres.url

    def start(self) -> None:
        """Bring everything up. Raises StartError with a text for people."""
        began = time.monotonic()

        def ready(part: str) -> None:
            self._say(f"  {part} after {time.monotonic() - began:.1f} s")

        self.home.close()
        if self._store is not None:
            self._store.refuse_taken_port()
            left_open = closing.is_needed(self.home)
            if left_open:
                self._say("  closing the object store, which an earlier version left open, with new keys")
                closing.remove_rules(self.home, self._store)
            unclean = orphans.begin(self._store.directory)
            self._store.launch(s3=not unclean)  # it needs two seconds; the others start at the same time
        if self._postgres is not None:
            self._postgres.start()
            self.home.remember_port("postgres", self._postgres.port)
            ready("database ready")
        if self._store is not None and unclean:
            orphans.purge(self._store, self._database_url, self._say)
            ready("object store checked")
            self._store.launch()
        self._environment = self._variables()
        passwords = self._share_secrets()
        self._spawn(self._gateway)  # importing the functions needs neither tables nor bucket
        tables.migrate(self._environment, ROOT, self.home.log("migrate"))
        if passwords:
            from local import roles

            roles.install(self._database_url, passwords)
        ready("tables up to date")
        if self._store is not None:
            self._store.wait()
            self._store.create_bucket(self._environment["BUCKET"])
            if left_open:
                closing.finish(self.home)
            ready("object store ready")
        self._wait_for_gateway()
        ready("functions ready")
        self._spawn(self._worker)

    def watch(self) -> None:
        """Keep everything running until interrupted; `changed` set means that the code has changed."""
        parent, bound = os.getppid(), "MAKELEVEL" in self._given
        logs_at = 0.0
        while True:
            self.changed.wait(LOOK_SECONDS)
            if bound and os.getppid() != parent:
                raise KeyboardInterrupt  # make is gone, and who killed it meant us
            if self.changed.is_set():
                self.changed.clear()
                self._say("code changed: restarting functions and worker")
                self._restart_children()
            if time.monotonic() >= logs_at:
                logs_at = time.monotonic() + LOG_SECONDS
                self.home.limit_logs()
            self._revive_parts()
            for child in self._children:
                self._revive(child)

    def stop(self) -> None:
        """End everything, the last started first. Safe at any moment."""
        self._stop_children()
        if self._postgres is not None:
            self._postgres.stop()
        if self._store is not None:
            orphans.stop(self._store)
        self._listener.close()

    def _share_secrets(self) -> dict[str, str]:
        """Give gateway and worker the secrets that they use; the passwords of the database roles. Raises StartError."""
        from local import roles
        from safelight import config  # found once `local.__main__` has named the layer's folder
        from safelight.web import forwarded

        try:
            configured = config.checked(self._environment)
        except config.Misconfigured as error:
            raise StartError(str(error)) from None
        passwords = roles.passwords(configured, self._secrets if self._postgres is not None else None)
        warnings = [forwarded.warning(configured), roles.warning(configured, passwords)]
        for warning in filter(None, warnings):
            self._say(f"Warning: {warning}")
        given = roles.environments(self._environment, Template(self._template), passwords)
        self._gateway.environment, self._worker.environment = given
        return passwords

    def _variables(self) -> dict[str, str]:
        """The environment of a migration, and what gateway and worker have of it."""
        variables = dict(self._given)
        if self._store is not None:
            # whatever points at somebody's AWS account must not reach a local run
            variables = {name: value for name, value in variables.items() if not name.startswith("AWS_")}
            variables |= {
                "S3_ENDPOINT": self._store.endpoint,
                "S3_SOCKET": str(self._store.socket),
                "SEAWEEDFS_CONTROL": str(self._store.directory),
                "AWS_ACCESS_KEY_ID": self._store.access_key,
                "AWS_SECRET_ACCESS_KEY": self._store.secret_key,
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        variables["DATABASE_URL"] = self._database_url
        for function in Template(self._template).functions().values():
            for name, value in function.environment.items():
                if name != "POWERTOOLS_SERVICE_NAME" and not name.startswith("AWS_"):
                    variables.setdefault(name, value)
        for name, value in (
            ("BUCKET", BUCKET),
            ("JWT_SECRET", self._secrets.jwt_secret),
            ("BASE_URL", self.url),
            ("STAGE", "local"),
            ("DATABASE_POOL", POOL),
        ):
            variables[name] = variables.get(name) or value
        path = [str(ROOT), str(ROOT / "layers" / "core"), *filter(None, [variables.get("PYTHONPATH")])]
        return variables | {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}

    def _spawn(self, child: Child) -> None:
        child.process = launch(
            [sys.executable, "-m", *child.arguments],
            log=self.home.log(child.name),
            cwd=ROOT,
            env=child.environment,
            descriptors=child.descriptors,
        )
        child.started = time.monotonic()

    def _wait_for_gateway(self, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self._gateway.runs:
                raise StartError(f"the functions did not start:\n{tail(self.home.log('gateway'), 15)}")
            try:
                get(self.port, "/health", seconds=2)
            except (OSError, http.client.HTTPException):
                continue
            return
        raise StartError(f"no answer from {self.url}, see {self.home.log('gateway')}")

    def _restart_children(self) -> None:
        started = [child for child in self._children if child.process is not None]
        self._stop_children()
        for child in started:
            self._spawn(child)

    def _stop_children(self) -> None:
        """Ask both at once, then wait for each."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in running:
            stop(process, grace=STOP_SECONDS)

    def _revive(self, child: Child) -> None:
        """Start a child again that ended, after a wait when it ended soon after its start."""
        if child.runs:
            return
        now = time.monotonic()
        if child.process is not None:
            log = self.home.log(child.name)
            self._say(f"the {child.name} ended with {child.process.returncode}, starting it again; last of {log}:")
            self._say(tail(log))
            child.process = None
            child.start_at = now if now - child.started > STEADY_SECONDS else now + STEADY_SECONDS
        if now >= child.start_at:
            self._spawn(child)

    def _revive_parts(self) -> None:
        """Start database and store again. What keeps one away (a taken port) is said, and it is tried again later."""
        if time.monotonic() < self._parts_start_at:
            return
        try:
            if self._postgres is not None and self._postgres.pid is None:
                self._say("the database ended, starting it again")
                self._postgres.start()
            if self._store is not None and self._store.pid is None:
                self._say("the object store ended, starting it again")
                self._store.refuse_taken_port()
                if orphans.begin(self._store.directory):
                    self._store.launch(s3=False)
                    orphans.purge(self._store, self._database_url, self._say)
                self._store.start()
        except StartError as error:
            self._say(f"{error}\nTrying again in {STEADY_SECONDS:.0f} s")
            self._parts_start_at = time.monotonic() + STEADY_SECONDS
