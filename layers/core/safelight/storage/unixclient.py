"""botocore over a Unix socket. botocore has no setting for it, but lets a handler send the request (`before-send`)."""

from typing import Any

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSPreparedRequest
from botocore.httpsession import URLLib3Session
from urllib3 import PoolManager

from safelight.storage.unix import connect


class UnixSession(URLLib3Session):
    """botocore's own HTTP session, with its pool and errors, whose connections lead to the socket at `path`."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(**options)

        class Connection(AWSHTTPConnection):
            def connect(self) -> None:
                self.sock = connect(path, self.timeout)

        class Pool(AWSHTTPConnectionPool):
            ConnectionCls = Connection

        self._manager: PoolManager  # the stubs leave it out
        self._manager.pool_classes_by_scheme = {"http": Pool}

    def handle(self, request: AWSPreparedRequest, **_: Any) -> Any:
        """The response (AWSResponse) to the request of a `before-send` event."""
        return self.send(request)
