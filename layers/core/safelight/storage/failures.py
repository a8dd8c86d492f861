"""boto3's errors, translated: only the ones that are meant, everything else passes through."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto

from safelight.errors import ObjectChanged, ObjectMissing, StorageUnavailable

_MISSING = frozenset({"NoSuchKey", "404"})
_CHANGED = frozenset({"PreconditionFailed", "412"})
_BUSY = frozenset(
    {"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "TooManyRequests"}
)
_BUSY_STATUS = frozenset({429, 500, 502, 503, 504})  # not 501: a store that lacks an operation will lack it tomorrow
_UNREACHABLE = (
    boto.ConnectionError,
    boto.ConnectionClosedError,
    boto.IncompleteReadError,
    boto.ReadTimeoutError,
    boto.ResponseStreamingError,
)


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Turn a vendor error about `key` into one of ours.

    ObjectMissing, ObjectChanged (a failed precondition), and StorageUnavailable: busy, broken, not reachable, or gone
    in the middle of a body. What is none of these is re-raised as it is.
    """
    try:
        yield
    except boto.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _MISSING:
            raise ObjectMissing(key) from error
        if code in _CHANGED:
            raise ObjectChanged(key) from error
        if code in _BUSY or status in _BUSY_STATUS:
            raise StorageUnavailable from error
        raise
    except _UNREACHABLE as error:
        raise StorageUnavailable from error
