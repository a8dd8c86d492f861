"""boto3's errors, translated: only the ones that are meant, everything else passes through."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from safelight.errors import ObjectChanged, ObjectMissing, ObjectTruncated, StorageUnavailable

_MISSING = frozenset({"NoSuchKey", "404"})
_CHANGED = frozenset({"PreconditionFailed", "412"})
_BUSY = frozenset(
    {
        "500",
        "502",
        "503",
        "504",
        "InternalError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "TooManyRequests",
    }
)


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Turn a vendor error about `key` into one of ours.

    ObjectMissing, ObjectChanged (a failed precondition), ObjectTruncated (the body ended early) and
    StorageUnavailable (busy, broken or not reachable); what is none of these is re-raised as it is.
    """
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _MISSING:
            raise ObjectMissing(key) from error
        if code in _CHANGED:
            raise ObjectChanged(key) from error
        if code in _BUSY or status >= 500:
            raise StorageUnavailable from error
        raise
    except IncompleteReadError as error:
        raise ObjectTruncated(key) from error
    except (BotoConnectionError, ConnectionClosedError, HTTPClientError, ResponseStreamingError) as error:
        raise StorageUnavailable from error
