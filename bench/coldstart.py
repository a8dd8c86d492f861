"""Cold starts of every function in the runtime emulator that ships with aws-sam-cli, against FastAPI + Mangum "hello".

    python -m bench.coldstart [--rounds N]

The code is built by the same Makefiles as for AWS, only for this machine's processor, and runs under Lambda's own
Python runtime client with nothing else on its path. Every round starts each function once, in turns with its peer, so
a slow moment meets all. `init` is what the emulator reports for loading the module, `first` adds the first request,
over a real database and store; CPU is the runtime process's, until that answer, from the scheduler. The ratio is the
median of each round's CPU against the peer's. Wall times on a busy machine mean little. Linux only: the emulator is.

Not measured: the download of the code, and the Web Adapter in front of the streaming function.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.measure import ROOT, cpu_seconds, free_port, median, verdict
from local.objectstore import ObjectStore
from local.postgres import Postgres

EMULATORS = {"x86_64": "aws-lambda-rie-x86_64", "aarch64": "aws-lambda-rie-arm64"}
TOOLS = ROOT / ".venv-tools"
EVENTS = ROOT / "events"

# What each function is asked first: the cheapest request that goes all the way through it. Nobody is signed in.
FIRST = {
    "accounts": ("api_health", {"httpMethod": "GET", "path": "/auth/me", "resource": "/auth/me"}),
    "galleries": ("api_health", {"httpMethod": "GET", "path": "/galleries", "resource": "/galleries"}),
    "photos": (
        "api_health",
        {"path": "/photos/6b2f6f1e-8f0c-4d0e-9f0e-3f4b5c6d7e8f", "resource": "/photos/{photo_id}"},
    ),
    "visits": ("api_view", {}),
    "operations": ("api_health", {}),
    "process_photo": ("photo_woken", {}),
    "sweep": ("schedule", {}),
    "migrate": ("migrate", {}),
}
BUDGETS = {"visits": 1.5} | dict.fromkeys(("accounts", "galleries", "photos", "operations", "downloads"), 2.5)
HELLO = """
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


handler = Mangum(app, lifespan="off")
"""
# Counts what Python had to compile because it found no usable bytecode; run as a program of its own.
COUNT = """
import importlib, sys
import importlib._bootstrap_external as external
compiled, original = [], external.SourceLoader.source_to_code
def source_to_code(self, data, path, **options):
    compiled.append(str(path))
    return original(self, data, path, **options)
external.SourceLoader.source_to_code = source_to_code
importlib.import_module("app")
print(len(compiled), *compiled[:5], sep="\\n")
"""


@dataclass(frozen=True)
class Sample:
    """One cold start: seconds of wall time and of the process's CPU, resident bytes afterwards."""

    init: float
    first: float
    cpu: float
    resident: int


def build(target: Path) -> None:
    """Layers and functions as `sam build` makes them, for this processor; and the peer, with the same bytecode."""
    for name, folder in _buildable():
        place = target / ("layers" if folder.startswith("layers/") else Path(folder).name)
        place.mkdir(parents=True, exist_ok=True)
        command = ["make", "--silent", "--makefile", str(ROOT / folder / "Makefile"), f"build-{name}"]
        variables = [f"ARTIFACTS_DIR={place}", f"MACHINE={platform.machine()}", f"PYTHON={sys.executable}"]
        subprocess.run([*command, *variables], cwd=ROOT / folder, check=True, stderr=subprocess.DEVNULL)
    hello = target / "hello"
    hello.mkdir()
    (hello / "app.py").write_text(HELLO)
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", hello], check=True
    )


def _buildable() -> Iterator[tuple[str, str]]:
    """(logical id, folder) of every layer and function of the template."""

    class Loader(yaml.SafeLoader):
        """Only plain values are read here, so what the short forms refer to does not matter."""

    Loader.add_multi_constructor("!", lambda _loader, suffix, _node: suffix)
    for name, resource in yaml.load((ROOT / "template.yaml").read_text(), Loader)["Resources"].items():
        folder = resource["Properties"].get("ContentUri") or resource["Properties"].get("CodeUri")
        if folder:
            yield name, folder


def environment(built: Path, folder: str, product: Mapping[str, str]) -> dict[str, str]:
    """What Lambda sets, and the product's settings: nothing of the machine's Python and nothing of whoever measures."""
    client = next((TOOLS / "bench" / "lib").glob("python3*/site-packages"))
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(built),
        "LAMBDA_TASK_ROOT": str(built / folder),
        "PYTHONPATH": os.pathsep.join([str(built / folder), str(built / "layers" / "python"), str(client)]),
        "_HANDLER": "app.handler",
        "AWS_LAMBDA_FUNCTION_NAME": folder,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "POWERTOOLS_SERVICE_NAME": folder,
        **product,
    }


def compiled(built: Path, folder: str, product: Mapping[str, str]) -> list[str]:
    """How many modules importing the function compiles from source, and the first few of them."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", COUNT],
        cwd=built / folder,
        env=environment(built, folder, product),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().splitlines()


def cold_handler(built: Path, folder: str, event: bytes, product: Mapping[str, str]) -> Sample:
    """Start the emulator with a function behind it and send it one event."""
    front, inner = free_port(), free_port()
    emulator = TOOLS / "sam/lib/python3.13/site-packages/samcli/local/rapid" / EMULATORS[platform.machine()]
    # Its default is to listen on every address of the machine.
    listen = [
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{front}",
        "--runtime-api-address",
        f"127.0.0.1:{inner}",
    ]
    command = [str(emulator), *listen, sys.executable, "-S", "-m", "awslambdaric", "app.handler"]
    with _process(command, built / folder, environment(built, folder, product)) as (process, log):
        url = f"http://127.0.0.1:{front}/2015-03-31/functions/function/invocations"
        _await_listening(front)
        began = time.perf_counter()
        answer = _post(url, event)
        took = time.perf_counter() - began
        (child,) = _children(process.pid)
        cpu, resident = cpu_seconds(child), _resident(child)
        said = log.read_text()
    if b'"errorMessage"' in answer:
        raise RuntimeError(f"{folder} failed: {answer.decode()[:500]}\n{said[-2000:]}")
    # The emulator starts the runtime with the first event. Its REPORT line's Init Duration knows nothing of that.
    init = re.search(r"INIT REPORT\(durationMs: ([0-9.]+)\)", said)
    if init is None:
        raise RuntimeError(f"the emulator reports no init of {folder}:\n{said[-2000:]}")
    return Sample(float(init[1]) / 1000, took, cpu, resident)


def cold_server(built: Path, folder: str, path: str, command: Sequence[str], product: Mapping[str, str]) -> Sample:
    """Start uvicorn as the streaming function does, until its first answer."""
    port = free_port()
    variables = environment(built, folder, product) | {"AWS_LWA_PORT": str(port)}
    began = time.perf_counter()
    with _process(command, built / folder, variables) as (process, log):
        _await_listening(port, log)
        init = time.perf_counter() - began
        # The first request may be about something that does not exist: finding that out is the whole way, too.
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}").read()
        took = time.perf_counter() - began
        return Sample(init, took, cpu_seconds(process.pid), _resident(process.pid))


@contextlib.contextmanager
def _process(
    command: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    with tempfile.NamedTemporaryFile(suffix=".log") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(variables), stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield process, Path(output.name)
        finally:
            # Its own session: the runtime that the emulator started ends with it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _post(url: str, body: bytes) -> bytes:
    request = urllib.request.Request(url, data=body, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
    return content


def _await_listening(port: int, log: Path | None = None) -> None:
    until = time.monotonic() + 30
    wanted = f"0100007F:{port:04X}"
    while time.monotonic() < until:
        # Looking costs the measured process nothing, and a connection would be its first.
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            if line.split()[1] == wanted and line.split()[3] == "0A":
                return
        time.sleep(0.002)
    raise RuntimeError(f"nothing listens on {port}\n{log.read_text()[-2000:] if log else ''}")


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cases(built: Path, product: Mapping[str, str]) -> dict[str, Callable[[], Sample]]:
    """A cold start of each function and of the two peers."""
    python = built / "bin"
    python.mkdir()
    (python / "python3").symlink_to(Path(sys.executable).resolve())
    found: dict[str, Callable[[], Sample]] = {}

    def add(folder: str, event: bytes) -> None:
        found[folder] = lambda: cold_handler(built, folder, event, product)

    add("hello", (EVENTS / "api_health.json").read_bytes())
    for folder, (name, changes) in FIRST.items():
        event = json.loads((EVENTS / f"{name}.json").read_text()) | changes
        add(folder, json.dumps(event).encode())

    variables = {**product, "PATH": f"{python}:{os.environ['PATH']}", "PYTHONNOUSERSITE": "1"}
    missing = json.loads((EVENTS / "api_view.json").read_text())["path"] + "/download/all"
    uvicorn = ["sh", str(built / "downloads" / "run.sh")]
    found["hello, uvicorn"] = lambda: cold_server(built, "hello", "/health", uvicorn, variables)
    found["downloads"] = lambda: cold_server(built, "downloads", missing, uvicorn, variables)
    return found


@contextlib.contextmanager
def product_settings(directory: Path) -> Iterator[dict[str, str]]:
    """A migrated database and a bucket, and the settings that lead there."""
    from tests import product

    with (
        Postgres(directory / "postgres", None, "coldstart") as postgres,
        ObjectStore(directory / "store", "COLDSTART", "coldstart-secret") as store,
    ):
        store.create_bucket("coldstart")
        variables = product.environment(postgres.create("coldstart"), "coldstart", store)
        with product.configured(variables):
            product.migrate()
        del variables["DATABASE_PASSWORDS"]  # a function has the password of its own role alone, in its URL
        yield variables


def report(samples: Mapping[str, Sequence[Sample]], compilations: Mapping[str, Sequence[str]]) -> bool:
    """Print the table; false when a budget is missed."""
    print(
        f"{'function':16} {'init ms':>8} {'first ms':>8} {'cpu ms':>8} {'RSS MiB':>8} {'cpu ratio':>9} {'compiled':>9}"
    )
    good = True
    for name, taken in samples.items():
        peer = samples["hello, uvicorn" if name in ("downloads", "hello, uvicorn") else "hello"]
        middle = {
            field: median([getattr(one, field) for one in taken]) for field in ("init", "first", "cpu", "resident")
        }
        # Pairs of one round: what slowed the machine slowed both.
        ratio = median([one.cpu / other.cpu for one, other in zip(taken, peer, strict=True)])
        count = compilations.get(name, ["-"])[0]
        figures = f"{middle['init'] * 1000:8.0f} {middle['first'] * 1000:8.0f} {middle['cpu'] * 1000:8.0f}"
        line = f"{name:16} {figures} {middle['resident'] / 2**20:8.0f} {ratio:9.2f} {count:>9}"
        if name in BUDGETS:
            line += f"   {verdict(ratio, most=BUDGETS[name])}"
            good = good and ratio <= BUDGETS[name]
        if count not in ("0", "-"):
            good = False
            line += f"   MISSES the budget of 0 compiled: {', '.join(compilations[name][1:])}"
        print(line)
    return good


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, start everything `--rounds` times, print; the exit code is 1 when a budget is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.coldstart",
        description=textwrap.dedent(__doc__),
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args(arguments).rounds
    if platform.system() != "Linux" or platform.machine() not in EMULATORS:
        print("The runtime emulator is a Linux program for x86_64 and aarch64.")
        return 1
    for name, requirements in (("sam", "tools"), ("bench", "bench")):
        command = ["sh", "local/environment.sh", f".venv-tools/{name}", f"requirements/{requirements}.txt"]
        subprocess.run(command, cwd=ROOT, check=True)
    directory = Path(tempfile.mkdtemp(prefix="safelight-coldstart-"))
    try:
        built = directory / "built"
        print("building the layers and functions for this machine ...", flush=True)
        build(built)
        with product_settings(directory) as product:
            started = cases(built, product)
            names = [name for name in started if name != "hello, uvicorn"]
            compilations = {name: compiled(built, name, product) for name in names}
            samples: dict[str, list[Sample]] = {name: [] for name in started}
            for turn in range(rounds + 1):
                for name, start in started.items():
                    sample = start()
                    if turn:  # the first round warms the page cache
                        samples[name].append(sample)
        return 0 if report(samples, compilations) else 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
