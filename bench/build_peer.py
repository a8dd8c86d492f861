"""What the same store and the same machine can do without us: ready bytes uploaded, or bytes copied, by k connections.

Nothing is hashed or signed over, no ZIP is made, nobody is asked for work: an archive cannot be built faster than its
bytes can be read and uploaded. Threads of one process: sending and receiving do not hold Python's lock.
"""

import http.client
import random
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from safelight import storage
from safelight.storage.signer import Signer

KEY = "archives/peer.zip"


def run(connections: int, size: int, part_size: int, sources: list[str]) -> float:
    """Seconds for `size` bytes in parts; with `sources`, keys of objects, bytes of theirs are read before each part."""
    signer = storage.internal_signer()
    uploads = storage.multipart()
    upload_id = uploads.begin(KEY, "application/zip")
    ready = random.Random(1).randbytes(part_size)
    lengths = [min(part_size, size - at) for at in range(0, size, part_size)]

    def bring(number: int) -> tuple[int, str]:
        length = lengths[number - 1]
        data = memoryview(ready)[:length] if not sources else _read(signer, sources, number, length)
        query = f"partNumber={number}&uploadId={upload_id}"
        path = f"{signer.address.path(KEY)}?{query}"
        answer, _ = _ask(signer, "PUT", path, data, signer.headers("PUT", KEY, query=query))
        return number, answer.headers["ETag"]

    begun = time.perf_counter()
    with ThreadPoolExecutor(connections) as threads:
        etags = list(threads.map(bring, range(1, len(lengths) + 1)))
    uploads.complete(KEY, upload_id, etags)
    seconds = time.perf_counter() - begun
    storage.storage().delete([KEY])
    return seconds


def _read(signer: Signer, sources: list[str], number: int, length: int) -> bytearray:
    data = bytearray()
    at = number
    while len(data) < length:
        key = sources[at % len(sources)]
        _, body = _ask(signer, "GET", signer.address.path(key), None, signer.headers("GET", key))
        data += body
        at += 1
    return data[:length]


def _ask(
    signer: Signer, method: str, path: str, data: "memoryview[int] | bytearray | None", headers: dict[str, str]
) -> tuple[http.client.HTTPResponse, bytes]:
    target = urlsplit(signer.address.origin)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=300)
    try:
        connection.request(method, path, body=data, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method}: {answer.status} {body[:300]!r}")
        return answer, body
    finally:
        connection.close()
