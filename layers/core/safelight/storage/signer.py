"""AWS Signature Version 4 for one bucket: query URLs, POST policies and signed headers, without botocore.

Importing botocore costs a cold start 270 ms and it signs a URL in about 250 µs; a gallery page needs 2,000 of them.
Everything here is arithmetic over the standard library, and equals botocore's output byte for byte.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html (URLs),
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html (forms),
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html (headers).
"""

import base64
import binascii
import hmac
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from safelight.storage.address import Address, quote_key

if TYPE_CHECKING:
    from _hashlib import HASH

_ALGORITHM = "AWS4-HMAC-SHA256"
_MAX_EXPIRES = 7 * 24 * 3600  # S3 refuses longer ones
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"


class Credentials(NamedTuple):
    """An AWS key pair, and the session token of temporary ones."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        """Only the public half: a representation ends up in logs."""
        return f"Credentials(access_key={self.access_key!r})"


class PostForm(NamedTuple):
    """What a client posts, as multipart/form-data: `fields` in this order, then `file` as the last part."""

    url: str
    fields: dict[str, str]
    expires_at: datetime


class _Moment(NamedTuple):
    stamp: str
    scope: str
    key: bytes


class Signer:
    """Signs requests to one bucket. Safe to share between threads; opens nothing.

    With `endpoint` (`http://host:port`) the bucket is addressed by path; without, AWS's virtual host of the region.
    """

    def __init__(self, credentials: Credentials, region: str, bucket: str, endpoint: str | None = None) -> None:
        self.address = Address.of(bucket, region, endpoint)
        self._credentials = credentials
        self._region = region
        self._bucket = bucket

    def get_urls(
        self,
        expires: int,
        *,
        quantum: int = 1,
        now: float | None = None,
        disposition: str | None = None,
        content_type: str | None = None,
    ) -> Callable[[str], str]:
        """A function from key to GET URL, valid `expires` seconds; what does not depend on the key is computed once.

        `quantum` (seconds) floors the signing time, so that every URL signed within it is the same string and a
        browser can cache what it points to; such a URL lives between `expires - quantum` and `expires` seconds.
        `disposition` and `content_type` override the response's headers. Raises ValueError for times S3 refuses.
        """
        overrides = _overrides(disposition, content_type)
        return self._urls("GET", expires, quantum=quantum, now=now, query=overrides, headers={})

    def url(
        self,
        method: str,
        key: str,
        expires: int,
        *,
        quantum: int = 1,
        now: float | None = None,
        disposition: str | None = None,
        content_type: str | None = None,
    ) -> str:
        """One URL, for GET, HEAD or PUT. As `get_urls`, but with PUT a `content_type` must be sent by the client."""
        if method == "PUT":
            if disposition is not None:
                raise ValueError("a PUT has no response headers to override")
            headers = {} if content_type is None else {"content-type": content_type}
            return self._urls(method, expires, quantum=quantum, now=now, query=[], headers=headers)(key)
        if method not in ("GET", "HEAD"):
            raise ValueError(f"cannot sign a {method} URL")
        overrides = _overrides(disposition, content_type)
        return self._urls(method, expires, quantum=quantum, now=now, query=overrides, headers={})(key)

    def post(
        self,
        key: str,
        *,
        content_type: str,
        max_bytes: int,
        expires: int,
        crc32: str | None = None,
        now: float | None = None,
        status: int = 204,
    ) -> PostForm:
        """A form that uploads exactly this key with exactly this type and 1 to `max_bytes` bytes, within `expires` s.

        `crc32` is the base64 of the big-endian checksum, as S3 has it; the store then refuses other bytes.
        `status` is what a successful upload answers: 204, or 201 with an XML body. Raises ValueError.
        """
        if "${" in key:
            raise ValueError("S3 would expand ${filename} in the key")
        if max_bytes < 1:
            raise ValueError("max_bytes must be 1 or more")
        if status not in (201, 204):
            raise ValueError("status must be 201 or 204")
        at = _floor(now, 1, expires)
        moment = self._moment(at)
        content = {"Content-Type": content_type, "success_action_status": str(status)}
        if crc32 is not None:
            content |= {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": _checked_crc32(crc32)}
        credential = f"{self._credentials.access_key}/{moment.scope}"
        proof = {"x-amz-algorithm": _ALGORITHM, "x-amz-credential": credential, "x-amz-date": moment.stamp}
        if self._credentials.session_token is not None:
            proof["x-amz-security-token"] = self._credentials.session_token
        # S3 refuses a field without a condition, so each gets the strictest one, equality. The order is botocore's.
        conditions: list[object] = [
            *({name: value} for name, value in content.items()),
            ["content-length-range", 1, max_bytes],
            {"bucket": self._bucket},
            {"key": key},
            *({name: value} for name, value in proof.items()),
        ]
        expires_at = datetime.fromtimestamp(at + expires, UTC)
        policy = {"expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": conditions}
        encoded = base64.b64encode(json.dumps(policy).encode()).decode()
        signature = hmac.digest(moment.key, encoded.encode(), "sha256").hex()
        fields = {"key": key} | content | proof | {"policy": encoded, "x-amz-signature": signature}
        return PostForm(self.address.origin + (self.address.base or "/"), fields, expires_at)

    def headers(
        self,
        method: str,
        key: str,
        *,
        query: str = "",
        payload_hash: str = UNSIGNED_PAYLOAD,
        extra: Mapping[str, str] | None = None,
        now: float | None = None,
    ) -> dict[str, str]:
        """The headers of a signed request to `address.path(key)`: Host, the date, `extra` and Authorization.

        Names are in lower case. `query` is the query string as sent, percent-encoded. `extra` headers are signed;
        an unsigned one, such as Range, may be added afterwards, so one signature serves many ranges for 15 minutes.
        """
        moment = self._moment(int(time.time() if now is None else now))
        headers = {name.lower(): " ".join(value.split()) for name, value in (extra or {}).items()}
        headers |= {"host": self.address.host, "x-amz-content-sha256": payload_hash, "x-amz-date": moment.stamp}
        if self._credentials.session_token is not None:
            headers["x-amz-security-token"] = self._credentials.session_token
        names = sorted(headers)
        signed = ";".join(names)
        parts = (
            method,
            self.address.path(key),
            _canonical_query(query),
            "".join(f"{name}:{headers[name]}\n" for name in names),
            signed,
            payload_hash,
        )
        digest = sha256("\n".join(parts).encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{moment.stamp}\n{moment.scope}\n{digest}"
        signature = hmac.digest(moment.key, to_sign.encode(), "sha256").hex()
        credential = f"{self._credentials.access_key}/{moment.scope}"
        headers["authorization"] = (
            f"{_ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}"
        )
        return headers

    def _moment(self, at: int) -> _Moment:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        day = stamp[:8]
        key = _signing_key(self._credentials.secret_key, day, self._region)
        return _Moment(stamp, f"{day}/{self._region}/s3/aws4_request", key)

    def _urls(
        self,
        method: str,
        expires: int,
        *,
        quantum: int,
        now: float | None,
        query: list[tuple[str, str]],
        headers: Mapping[str, str],
    ) -> Callable[[str], str]:
        moment = self._moment(_floor(now, quantum, expires))
        signed = {"host": self.address.host, **headers}
        names = sorted(signed)
        pairs = [
            *query,
            ("X-Amz-Algorithm", _ALGORITHM),
            ("X-Amz-Credential", f"{self._credentials.access_key}/{moment.scope}"),
            ("X-Amz-Date", moment.stamp),
            ("X-Amz-Expires", str(expires)),
            ("X-Amz-SignedHeaders", ";".join(names)),
        ]
        if self._credentials.session_token is not None:
            pairs.append(("X-Amz-Security-Token", self._credentials.session_token))
        encoded = [f"{name}={quote(value, safe='-_.~')}" for name, value in pairs]
        # The canonical request around the path, the string to sign before its digest, the URL around the path.
        head = f"{method}\n{self.address.base}/"
        canonical_headers = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
        tail = f"\n{'&'.join(sorted(encoded))}\n{canonical_headers}\n{';'.join(names)}\n{UNSIGNED_PAYLOAD}"
        url_head = f"{self.address.origin}{self.address.base}/"
        url_tail = f"?{'&'.join(encoded)}&X-Amz-Signature="
        inner, outer = _hmac_states(moment.key, f"{_ALGORITHM}\n{moment.stamp}\n{moment.scope}\n".encode())
        encode = quote_key

        def sign(key: str) -> str:
            path = encode(key)
            request = sha256(f"{head}{path}{tail}".encode()).hexdigest()
            inside, outside = inner.copy(), outer.copy()
            inside.update(request.encode())
            outside.update(inside.digest())
            return f"{url_head}{path}{url_tail}{outside.hexdigest()}"

        return sign


def _hmac_states(key: bytes, prefix: bytes) -> "tuple[HASH, HASH]":
    """HMAC-SHA256 as far as it does not depend on the message's end (RFC 2104 §4): a third of the time of each URL."""
    block = key.ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in block) + prefix)
    return inner, sha256(bytes(byte ^ 0x5C for byte in block))


def crc32_field(value: int) -> str:
    """A CRC-32 as `post` and S3 want it: base64 of four bytes, big-endian."""
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def _checked_crc32(value: str) -> str:
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("crc32 must be base64") from error
    if len(raw) != 4 or base64.b64encode(raw).decode() != value:
        raise ValueError("crc32 must be the base64 of four bytes")
    return value


def _canonical_query(query: str) -> str:
    # Sorted by name, then value: sorting the joined pairs would put "a-b=" before "a=".
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _overrides(disposition: str | None, content_type: str | None) -> list[tuple[str, str]]:
    pairs = (("response-content-disposition", disposition), ("response-content-type", content_type))
    return [(name, value) for name, value in pairs if value is not None]


def _floor(now: float | None, quantum: int, expires: int) -> int:
    if not 1 <= expires <= _MAX_EXPIRES:
        raise ValueError(f"expires must be 1 to {_MAX_EXPIRES} seconds")
    if not 1 <= quantum <= expires:
        raise ValueError("quantum must be 1 to expires seconds")
    at = int(time.time() if now is None else now)
    return at - at % quantum


@lru_cache(maxsize=8)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
