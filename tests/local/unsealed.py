"""The object store as it ran before it was sealed."""

from __future__ import annotations

import json
import os

from local import process, storeports, storesettings
from local.objectstore import ObjectStore, program
from local.process import launch


class UnsealedStore(ObjectStore):
    """The store without its seal: what tests compare with, so that they can fail, and benchmarks measure against."""

    def launch(self, *, s3: bool = True) -> ObjectStore:
        assert s3
        self.data.mkdir(parents=True)
        self._ports = storeports.choose(self.directory, None)
        identity = {
            "name": "safelight",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (self.directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
        sealing = ("filer.disableHttp", "filer.localSocket", "s3.autoCreateBucket")
        flags = {name: value for name, value in storesettings.FLAGS.items() if name not in sealing}
        flags |= {"dir": str(self.data), "s3.config": str(self.directory / "s3.json")}
        flags |= {name: str(port) for name, port in self._ports.items()}
        self._process = launch(
            [program(), "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in flags.items())],
            log=self.log,
            cwd=self.directory,
            env=storesettings.environment(os.environ, self.directory),
        )
        return self

    def wait(self, *, seconds: float = 60.0) -> ObjectStore:
        def ready() -> bool:
            try:
                status = process.get(self._ports["master.port"], "/dir/status")[0]
                return status == 200 and process.get(self._ports["s3.port"], "/")[0] == 403
            except OSError:
                return False

        process.wait_until(ready, seconds=seconds, what="the open store")
        return self
