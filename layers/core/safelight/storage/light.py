"""HEAD and PUT of small objects without botocore, for functions whose cold start must stay short.

Where a function only asks whether an upload arrived, or leaves a wake-up, this is 270 ms less to import.
"""

import contextlib
import http.client
import ssl
import time
import weakref
import zlib
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import urlsplit

from safelight.errors import StorageUnavailable
from safelight.storage.objects import DEFAULT_TYPE, ObjectInfo
from safelight.storage.signer import UNSIGNED_PAYLOAD, Signer, crc32_field
from safelight.storage.unix import UnixConnection

_TIMEOUT = 5.0  # seconds, for connecting and for each read: an API call has little time
_PAUSES = (0.05, 0.2)  # seconds before the second and the third attempt
_BUSY = frozenset({429, 500, 502, 503, 504})
_MAX_IDLE = 8


class Refused(Exception):
    """The store answered with a status that nobody expected: bad credentials, no such bucket. Ours to mend."""

    def __init__(self, method: str, key: str, status: int, reason: str) -> None:
        super().__init__(f"{method} {key}: {status} {reason}")
        self.status = status


class LightStore:
    """The two calls of `Storage` that the hot paths need, with the same meaning and errors.

    Safe to share between threads; keeps idle connections. Raises StorageUnavailable after three attempts (both calls
    are idempotent), Refused for what boto3 would raise as a ClientError. `socket` is the path of a Unix socket
    that leads to the signer's endpoint.
    """

    def __init__(self, signer: Signer, *, socket: str | None = None, timeout: float = _TIMEOUT) -> None:
        self._signer = signer
        self._socket = socket
        self._timeout = timeout
        self._target = urlsplit(signer.address.origin)
        self._idle: deque[http.client.HTTPConnection] = deque()
        weakref.finalize(self, _close, self._idle)

    def head(self, key: str) -> ObjectInfo | None:
        """The object's facts, or None when there is no such object (S3 says 403 to a role without s3:ListBucket)."""
        answer = self._request("HEAD", key, None, {})
        if answer.status == 404:
            return None
        _expect(answer, "HEAD", key)
        modified = parsedate_to_datetime(answer.headers["Last-Modified"])
        size = int(answer.headers["Content-Length"])
        content_type = answer.headers.get("Content-Type", DEFAULT_TYPE)
        return ObjectInfo(key, size, answer.headers["ETag"], content_type, modified.astimezone(UTC))

    def write(self, key: str, data: bytes, content_type: str) -> ObjectInfo:
        """Put a whole object, replacing what was there; the store refuses bytes that changed on the way."""
        # S3 checks the signed SHA-256 of the payload; stores that do not, check this.
        checksum = crc32_field(zlib.crc32(data))
        extra = {"content-type": content_type, "x-amz-checksum-crc32": checksum}
        answer = self._request("PUT", key, data, extra)
        _expect(answer, "PUT", key)
        return ObjectInfo(key, len(data), answer.headers["ETag"], content_type, datetime.now(UTC))

    def close(self) -> None:
        """Close the idle connections; the next call opens its own."""
        _close(self._idle)

    def _request(self, method: str, key: str, data: bytes | None, extra: Mapping[str, str]) -> http.client.HTTPResponse:
        for pause in (*_PAUSES, None):
            try:
                answer = self._attempt(method, key, data, extra)
                if answer.status not in _BUSY:
                    return answer
                failure: Exception = Refused(method, key, answer.status, answer.reason)
            except (OSError, http.client.HTTPException) as error:
                failure = error
                self.close()  # after a freeze every kept connection is as dead as this one
            if pause is not None:
                time.sleep(pause)
        raise StorageUnavailable from failure

    def _attempt(self, method: str, key: str, data: bytes | None, extra: Mapping[str, str]) -> http.client.HTTPResponse:
        payload_hash = UNSIGNED_PAYLOAD if data is None else sha256(data).hexdigest()
        headers = self._signer.headers(method, key, payload_hash=payload_hash, extra=extra)
        try:
            connection = self._idle.pop()
        except IndexError:  # not asked beforehand: another thread may take the last one in between
            connection = self._connect()
        try:
            connection.request(method, self._signer.address.path(key), body=data, headers=headers)
            answer = connection.getresponse()
            answer.read()
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < _MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._target.hostname or "", self._target.port
        if self._socket is not None:
            return UnixConnection(self._socket, host, port, timeout=self._timeout)
        if self._target.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=_tls())
        return http.client.HTTPConnection(host, port, timeout=self._timeout)


def _close(connections: deque[http.client.HTTPConnection]) -> None:
    with contextlib.suppress(IndexError):
        while True:
            connections.pop().close()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _expect(answer: http.client.HTTPResponse, method: str, key: str) -> None:
    if answer.status != 200:
        raise Refused(method, key, answer.status, answer.reason)
