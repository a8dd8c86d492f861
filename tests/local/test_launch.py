"""A launched program never outlives the process that launched it, however that one ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from local.process import LAUNCHER, StartError, free_ports, is_free, launch, stop, wait_until

PARENT = """
import json, os, subprocess, sys
options = {"signal": 9, "identity": "keep", "prctl": sys.argv[2] == "prctl"}
if sys.argv[3] == "named":
    options["parent"] = os.getpid()
options = json.dumps(options)
child = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], options, sys.executable, "-c", "input()"],
                         stdin=subprocess.PIPE)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.parametrize("parent_is", ["named", "found"])
@pytest.mark.parametrize("way", ["prctl", "watcher"])
def test_the_program_ends_when_its_starter_is_killed(way: str, parent_is: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(LAUNCHER), way, parent_is], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    wait_until(lambda: "input()" in child.cmdline(), seconds=5, what="the program")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    child.wait(5)
    assert not child.is_running()


def test_it_is_not_started_for_a_starter_that_is_gone(tmp_path: Path) -> None:
    options = json.dumps({"parent": 1, "signal": 9, "identity": "keep"})
    mark = tmp_path / "started"
    command = [sys.executable, "-I", "-S", str(LAUNCHER), options, sys.executable, "-c", f"open({str(mark)!r}, 'w')"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "is gone" in done.stderr
    assert not mark.exists()


def test_stop_ends_even_what_ignores_the_request(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    log = tmp_path / "log"
    process = launch([sys.executable, "-c", code], log=log, cwd=tmp_path)
    wait_until(lambda: log.exists() and "deaf" in log.read_text(), seconds=5, what="the program")
    began = time.monotonic()
    stop(process, grace=0.2)
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 5


def test_ports_are_distinct_and_free() -> None:
    ports = free_ports(8)
    assert len(set(ports)) == 8
    assert all(is_free(port) for port in ports)


def test_waiting_says_what_it_waited_for() -> None:
    with pytest.raises(StartError, match="the moon was not ready"):
        wait_until(lambda: False, seconds=0.05, what="the moon")


def test_the_program_is_its_own_session(tmp_path: Path) -> None:
    process = launch([sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log", cwd=tmp_path)
    try:
        assert os.getsid(process.pid) == process.pid
    finally:
        stop(process, grace=1)
