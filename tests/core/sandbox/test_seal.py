"""A sealed process, seen from inside: its threads, its limits, its ends."""

import os
import signal
import subprocess
import sys

import pytest

from safelight.sandbox.privileges import OWN_IDS
from tests.core.sandbox.running import ROOT

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="system calls of Linux")

SEALED = """
import ctypes, fcntl, os, resource, signal, socket, sys, threading, time
from safelight.sandbox import privileges, seal, system
from safelight.sandbox.profiles import PICTURE
from safelight.sandbox.wire import Limits
libc = ctypes.CDLL(None)
parent, program = os.getppid(), PICTURE.program()
def sealed():
    seal.give_up(Limits(memory=2**31, cpu_seconds=5), parent, privileges.OWN_IDS[7], required=True)
    seal.shut(program, required=True)
"""
ATTEMPTS = {
    "a file": "open('/etc/hostname')",
    "the parent's secrets": "open(f'/proc/{parent}/environ')",
    "a new file": "open('/tmp/safelight-should-not-exist', 'w')",
    "a socket": "socket.socket()",
    "the parent's limits": "resource.prlimit(parent, resource.RLIMIT_CPU)",
    "limits of its own": "resource.prlimit(0, resource.RLIMIT_NOFILE)",
    "the parent's processors": "os.sched_setaffinity(parent, {0})",
    "the parent's priority": "os.setpriority(os.PRIO_PROCESS, parent, 19)",
    "the parent as who is told of input": "fcntl.fcntl(0, fcntl.F_SETOWN, parent)",
    "a deadly signal for input": "fcntl.fcntl(0, fcntl.F_SETSIG, 9)",
    "another process": "os.fork()",
    "a rename": "os.rename('/tmp/a', '/tmp/b')",
    "a folder": "os.mkdir('/tmp/safelight-should-not-exist')",
}


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'core'}"}
    command = [sys.executable, "-c", SEALED + code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_every_thread_is_sealed_and_threads_go_on() -> None:
    ran = run(f"""
ready, go, refused = threading.Event(), threading.Event(), []
def attempt():
    ready.set(); go.wait()
    for name, code in {ATTEMPTS!r}.items():
        try: eval(code)
        except PermissionError: refused.append(name)
early = threading.Thread(target=attempt); early.start(); ready.wait()
sealed()
go.set(); early.join(); attempt()
late = threading.Thread(target=print, args=("threads go on",)); late.start(); late.join()
print(sorted(refused))
""")
    assert ran.stdout.splitlines() == ["threads go on", str(sorted([*ATTEMPTS, *ATTEMPTS]))], ran.stderr


@pytest.mark.parametrize(
    "code",
    ["os.execv('/bin/true', ['true'])", "os.kill(parent, 0)", "os.setuid(0)", "system.call('ptrace', 0, 0, 0, 0)"],
)
def test_a_tripwire_ends_the_process(code: str) -> None:
    ran = run(f"sealed(); print('sealed', flush=True); {code}; print('went on', flush=True)")
    assert (ran.returncode, ran.stdout) == (-signal.SIGSYS, "sealed\n"), ran.stderr


@pytest.mark.parametrize("code", ["ctypes.string_at(0)", "libc.abort()"])
def test_a_crash_stays_a_crash(code: str) -> None:
    assert run(f"sealed(); {code}").returncode in (-signal.SIGSEGV, -signal.SIGABRT)


def test_a_stopped_process_goes_on() -> None:
    """SIGCONT makes the kernel restart a timed wait by a call of its own."""
    ran = run("""
pid = os.fork()
if pid == 0:
    parent = os.getppid(); sealed(); os.write(1, b"x"); time.sleep(0.6); os._exit(7)
time.sleep(0.3); os.kill(pid, signal.SIGSTOP); time.sleep(0.1); os.kill(pid, signal.SIGCONT)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""")
    assert ran.stdout == "x7\n", ran.stderr


def test_who_the_process_is_and_what_it_may_use() -> None:
    ran = run("""
version = seal.give_up(Limits(memory=2**31, cpu_seconds=5), parent, privileges.OWN_IDS[7], required=True)
dead = ctypes.c_int(); libc.prctl(2, ctypes.byref(dead))
print(os.getresuid(), os.getgroups(), privileges.capabilities(), dead.value, libc.prctl(3))
print({name: resource.getrlimit(getattr(resource, name)) for name in ("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE",
    "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE")}, *map(resource.getrlimit, (resource.RLIMIT_CPU, resource.RLIMIT_AS)))
print(resource.getrlimit(resource.RLIMIT_NPROC) == (64, 64))
""")
    user = OWN_IDS[7] if os.geteuid() == 0 else os.geteuid()
    who, limits, threads = ran.stdout.splitlines()
    groups = [] if os.geteuid() == 0 else os.getgroups()
    assert who == f"{(user,) * 3} {groups} 0 {int(signal.SIGKILL)} 0", "own id, no capability, dies with its parent"
    nothing = dict.fromkeys(
        ("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE"), (0, 0)
    )
    assert limits == f"{nothing} (5, 6) ({2**31}, {2**31})"
    assert threads == str(os.geteuid() == 0)


def test_lower_limits_from_outside_stay() -> None:
    ran = run("""
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)); resource.setrlimit(resource.RLIMIT_CPU, (3, 3))
seal.give_up(Limits(memory=2**31, cpu_seconds=5), parent, privileges.OWN_IDS[7], required=True)
print(resource.getrlimit(resource.RLIMIT_AS)[0] == 2**30, resource.getrlimit(resource.RLIMIT_CPU))
""")
    assert ran.stdout == "True (3, 3)\n", ran.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="of another user the limit would count the whole account")
def test_a_thread_bomb_ends_early() -> None:
    ran = run("""
sealed()
started = 0
try:
    while started < 3000:
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start(); started += 1
except RuntimeError:
    pass
print(0 < started < 65, flush=True); os._exit(0)
""")
    assert ran.stdout == "True\n", ran.stderr
