"""`python -m local`: the whole product on this machine until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

from local.addresses import wanted_port
from local.home import Home
from local.process import StartError
from local.supervisor import ROOT, Supervisor


def say(line: str) -> None:
    """One line for the person at the terminal, at once."""
    print(line, flush=True)


def main() -> int:
    """Start, watch, stop. The exit code is 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("--reload", action="store_true", help="restart functions and worker when code changes")
    parser.add_argument("--template", type=Path, default=ROOT / "template.yaml")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)

    began = time.monotonic()
    directory = Path(os.environ.get("SAFELIGHT_HOME") or ".safelight")
    os.umask(0o077)  # of everything that is created from here on
    sys.path.append(str(ROOT / "layers" / "core"))  # for the store's client; make and containers set no PYTHONPATH
    supervisor: Supervisor | None = None
    try:
        home = Home(directory)
        home.lock()
        port = wanted_port(os.environ, "PORT") or 8000
        say(f"Safelight is starting, data in {directory}")
        supervisor = Supervisor(home, os.environ, port, template=arguments.template, say=say)
        supervisor.start()
        say(f"Safelight is ready at {supervisor.url} ({time.monotonic() - began:.1f} s)")
        say(f"  API {supervisor.url}/docs, logs {home.logs}; `make demo` makes an example gallery; Ctrl-C stops all")
        if arguments.reload:
            threading.Thread(target=watch_code, args=(supervisor.changed,), daemon=True).start()
        supervisor.watch()
    except KeyboardInterrupt:
        say("\nSafelight is stopping")
    except StartError as error:
        say(f"Safelight did not start: {error}")
        return 1
    finally:
        if supervisor is not None:
            # a second Ctrl-C would leave the parts half stopped
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            supervisor.stop()
    say("Safelight has stopped")
    return 0


def watch_code(changed: threading.Event) -> None:
    """Set `changed` whenever code or template is saved."""
    from watchfiles import DefaultFilter, watch

    watched = [path for name in ("functions", "layers", "local", "template.yaml") if (path := ROOT / name).exists()]
    for _ in watch(*watched, watch_filter=DefaultFilter()):
        changed.set()


if __name__ == "__main__":
    sys.exit(main())
