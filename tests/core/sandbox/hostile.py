"""A child that was taken over: it does what its input says, with all that Python and the C library have.

As a program it is a warm process with such children; the attempt is named behind a `|` at the end of its input.
"""

# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH116, PTH123, PTH208, SIM115 - each is the bare call, and must not succeed

import ctypes
import itertools
import json
import os
import signal
import socket
import string
import struct
import threading
import time
from collections.abc import Callable

from safelight.pictures import inside
from safelight.sandbox import warm
from safelight.sandbox.profiles import PICTURE
from safelight.sandbox.wire import MAX_HEAD, frame, split
from tests.core.sandbox.numbers import HERE

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_MIB = 1024 * 1024


def call(name: str, *arguments: int | bytes) -> int:
    """A system call. Raises OSError."""
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(_libc.syscall(ctypes.c_long(HERE[name]), *given))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _shared_memory() -> object:
    number = call("shmget", 0, _MIB, 0o1600)
    ctypes.memset(call("shmat", number, 0, 0), 1, _MIB)
    return number


# `w` is what the worker said about itself: `parent`, `port`, `file`, `folder`, `handle` (in hex).
ATTEMPTS: dict[str, Callable[[dict[str, object]], object]] = {
    "read a file": lambda w: open(str(w["file"])).read(),
    "read a file by its handle": lambda w: call("open_by_handle_at", -100, bytes.fromhex(str(w["handle"])), 0),
    "read the parent's environment": lambda w: open(f"/proc/{w['parent']}/environ").read(),
    "read the parent's memory": lambda w: call(
        "process_vm_readv", int(str(w["parent"])), bytes(16), 1, bytes(16), 1, 0
    ),
    "look at a file": lambda w: os.stat(str(w["file"])).st_size,
    "list a folder": lambda w: os.listdir(str(w["folder"])),
    "write a file": lambda w: open(str(w["file"]), "w"),
    "make a file": lambda w: open(f"{w['folder']}/new", "x"),
    "make a folder": lambda w: os.mkdir(f"{w['folder']}/new"),
    "change a mode": lambda w: os.chmod(str(w["file"]), 0o666),
    "change a mode by fchmodat2": lambda w: call("fchmodat2", -100, str(w["file"]).encode(), 0o666, 0),
    "change a time": lambda w: os.utime(str(w["file"]), (1, 1)),
    "change an attribute": lambda w: os.setxattr(str(w["file"]), "user.x", b"1"),
    "change an owner": lambda w: os.chown(str(w["file"]), 1, 1),
    "truncate": lambda w: os.truncate(str(w["file"]), 0),
    "rename": lambda w: os.rename(str(w["file"]), f"{w['folder']}/other"),
    "unlink": lambda w: os.unlink(str(w["file"])),
    "shared memory": lambda _: _shared_memory(),
    "shared memory of POSIX": lambda _: os.open("/dev/shm/safelight-hostile", os.O_CREAT | os.O_RDWR),
    "a semaphore": lambda _: call("semget", 0, 1, 0o1600),
    "a message queue": lambda _: call("msgget", 0, 0o1600),
    "a message queue of POSIX": lambda _: call("mq_open", b"safelight-hostile", 0o102, 0o600, 0),
    "memory as a file": lambda _: os.memfd_create("x"),
    "connect": lambda w: socket.socket().connect(("127.0.0.1", int(str(w["port"])))),
    "a socket of its own": lambda _: socket.socketpair(),
    "send a datagram": lambda w: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(str(w["port"])))),
    "signal the parent": lambda w: os.kill(int(str(w["parent"])), signal.SIGUSR1),
    "signal everybody": lambda _: os.kill(-1, 0),
    "signal a thread of the parent": lambda w: call("tgkill", *[int(str(w["parent"]))] * 2, signal.SIGUSR1),
    "signal the parent with a value": lambda w: call(
        "rt_sigqueueinfo", int(str(w["parent"])), signal.SIGUSR1, struct.pack("=iii", 10, 0, -1) + bytes(116)
    ),
    "be told of input": lambda w: call("fcntl", 0, 8, int(str(w["parent"]))),
    "another process": lambda _: os.fork() or os._exit(0),
    "another program": lambda _: os.execv("/bin/true", ["true"]),
    "a namespace": lambda _: call("unshare", 0x10000000),
    "live on after the parent": lambda _: call("prctl", 1, 0, 0, 0, 0),
    "be root": lambda _: os.setuid(0),
    "another filter": lambda _: call("seccomp", 1, 0, bytes(16)),
    "code": lambda _: call("mmap", 0, 4096, 7, 0x22, -1, 0),
}


def _filled(part: bytes, *, prefix: bytes = b"", suffix: bytes = b"", size: int = MAX_HEAD) -> bytes:
    """A head of this size that is made of one part again and again."""
    head = prefix + part * ((size - len(prefix) - len(suffix)) // len(part)) + suffix
    return struct.pack(">I", len(head)) + head


def _without_end() -> bytes:
    while True:
        os.write(1, bytes(_MIB))


def _swollen(data: bytes) -> bytes:
    """An honest answer whose renditions are as large as an answer may be."""
    head, body = split(b"R" + inside.work(data))
    parts, at = [], 0
    for row in head["renditions"]:
        rendition = bytes(body[at : at + row[3]])
        at += row[3]
        parts.append(rendition[:-2] + bytes(5 * _MIB + 512 * 1024) + rendition[-2:])
        row[3] = len(parts[-1])
    return frame(head) + b"".join(parts)


def _altered(data: bytes, **tiles: object) -> bytes:
    """An honest answer with other tiles."""
    head, body = split(b"R" + inside.work(data))
    head["metrics"]["tiles"] |= tiles
    return frame(head) + bytes(body)


def _keys(size: int) -> bytes:
    """Members of an object, each with a name of its own."""
    letters = string.ascii_letters + string.digits
    names = itertools.islice(map("".join, itertools.product(letters, repeat=3)), size // len('"aaa":-9,'))
    return ('{"metrics":{' + ",".join(f'"{name}":-9' for name in names) + "}}").encode()


def _framed(head: bytes) -> bytes:
    return struct.pack(">I", len(head)) + head


# Answers that are to use up the memory of whoever reads them.
ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "without end": lambda _: _without_end(),
    "a large head": lambda _: _filled(b"1e1,", prefix=b'{"reason":[', suffix=b"0]}", size=20 * _MIB),
    "lists and a body": lambda _: _filled(b"[[[[[[[[]]]]]]]],", prefix=b"[", suffix=b"0]") + bytes(22 * _MIB),
    "lists": lambda _: _filled(b"[],", prefix=b"[", suffix=b"0]"),
    "lists in lists": lambda _: _filled(b"[[[[[[[[]]]]]]]],", prefix=b"[", suffix=b"0]"),
    "objects": lambda _: _filled(b'{"":0},', prefix=b'{"metrics":[', suffix=b"0]}"),
    "numbers": lambda _: _filled(b"1e1,", prefix=b'{"reason":[', suffix=b"0]}"),
    "strings": lambda _: _filled('"\U0001f600a",'.encode(), prefix=b'{"reason":[', suffix=b"0]}"),
    "a long number": lambda _: _filled(b"9", prefix=b'{"reason":', suffix=b"}"),
    "depth": lambda _: _filled(b"["),
    "swollen": _swollen,
    "a product of a number and a text": lambda data: _altered(data, columns=800_000_000, rows="a"),
    "a product of a number and a list": lambda data: _altered(data, columns=80_000_000, rows=[1]),
    "a number without end": lambda data: _altered(data, columns=10**4000),
    "names and a body": lambda _: _framed(_keys(MAX_HEAD)) + bytes(23 * _MIB),
    "as many names as there is room for, and a body": lambda _: _framed(_keys(1024 * 1024)) + bytes(22 * _MIB),
}


def _bomb(left: bytes) -> bytes:
    """Start threads until there are no more, end `left` of them, keep the others."""
    ends: list[threading.Event] = []
    threading.stack_size(32768)
    try:
        while len(ends) < 1500:
            ends.append(threading.Event())
            threading.Thread(target=ends[-1].wait, args=(60,), daemon=True).start()
    except RuntimeError:
        ends.pop()
    for end in ends[: int(left)]:
        end.set()
    time.sleep(60)
    return frame({"reason": "the bomb is over"})


# Work that is neither an attempt nor an answer.
OTHERS: dict[str, Callable[[bytes], bytes]] = {"honest": inside.work, "thread bomb": _bomb}


def work(data: bytes) -> bytes:
    """What the input asks for."""
    picture, _, name = data.rpartition(b"|")
    if name.decode() in OTHERS:
        return OTHERS[name.decode()](picture)
    if name.decode() in ANSWERS:
        return ANSWERS[name.decode()](picture)
    worker = json.loads(picture) if picture.startswith(b"{") else {}
    try:
        result = ATTEMPTS[name.decode()](worker)
    except OSError as error:
        return f"refused {error.errno}".encode()
    return f"succeeded {result}".encode()


def main() -> None:
    """Serve."""
    warm.serve(work, PICTURE)


if __name__ == "__main__":
    main()
