"""A migrated Postgres for benchmarks, and galleries of any size written straight by SQL."""

import contextlib
import logging
import os
import secrets
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from pg8000.native import Connection

from bench.measure import ROOT, cpu_seconds
from local.postgres import Postgres

SETTINGS = {
    "STAGE": "local",
    "JWT_SECRET": secrets.token_hex(32),
    "BUCKET": "photos-example",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLEEXAMPLE00",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}
"""As in a function on AWS; no store is asked, addresses are only signed."""

PHOTOS = """
INSERT INTO photos (id, gallery_id, filename, title, description, content_type, file_size, width, height, sha256, crc32,
                    s3_key, etag, status, thumbhash, position, uploaded_at)
SELECT id, '{gallery}', 'IMG_' || lpad(n::text, 7, '0') || '.jpg', '', '', 'image/jpeg', 8000000 + n % 977, 6000, 4000,
       md5(n::text) || md5((n + 1)::text), n * 4217 % 4294967295, 'originals/{gallery}/' || id,
       '"' || md5(id::text) || '"', 'ready',
       substr(encode(decode(md5(n::text) || md5(id::text), 'hex'), 'base64'), 1, 33), 1795000000000000 + n, now()
FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, cast(:count AS bigint)) AS n) AS made
"""


class Database:
    """A server and a connection to its migrated database, which the product's settings point at."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self.connection = Connection(
            "safelight", host="127.0.0.1", port=server.port, database="safelight", password=server.password
        )

    def owner(self) -> uuid.UUID:
        """A photographer."""
        return self._insert("users (id, email, password_hash)", "gen_random_uuid(), gen_random_uuid()::text, '-'")

    def gallery(self, owner: uuid.UUID, photos: int) -> uuid.UUID:
        """A gallery with so many ready photos."""
        made = self._insert("galleries (id, owner_id, title)", f"gen_random_uuid(), '{owner}', 'Anna & Ben'")
        self.connection.run(PHOTOS.format(gallery=made), count=photos)
        return made

    def galleries(self, owner: uuid.UUID, count: int) -> None:
        """So many empty galleries, a second apart."""
        self.connection.run(
            "INSERT INTO galleries (id, owner_id, title, created_at)"
            " SELECT gen_random_uuid(), cast(:owner AS uuid), 'Gallery ' || n, now() - n * interval '1 second'"
            " FROM generate_series(1, cast(:count AS bigint)) AS n",
            owner=str(owner),
            count=count,
        )

    def share(self, gallery: uuid.UUID) -> uuid.UUID:
        """An open link."""
        return self._insert("share_links (id, gallery_id)", f"gen_random_uuid(), '{gallery}'")

    def settle(self) -> None:
        """What autovacuum would do soon after: without it the first minutes decide what is measured."""
        self.connection.run("VACUUM ANALYZE")

    def cpu(self) -> float:
        """CPU seconds of all backends that live now."""
        assert self._server.pid is not None
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        return sum(cpu_seconds(int(child)) for child in children)

    def _insert(self, table: str, values: str) -> uuid.UUID:
        [[made]] = self.connection.run(f"INSERT INTO {table} VALUES ({values}) RETURNING id")
        assert isinstance(made, uuid.UUID)
        return made


@contextlib.contextmanager
def database(*, durable: bool = False, token: str | None = None, pool: int = 1) -> Iterator[Database]:
    """A migrated database that the product in this process is configured for, once in the life of the process."""
    with tempfile.TemporaryDirectory(prefix="bench-database-", ignore_cleanup_errors=True) as directory:
        server = Postgres(Path(directory) / "postgres", None, secrets.token_hex(16), durable=durable)
        with server:
            os.environ |= {**SETTINGS, "DATABASE_URL": server.url, "DATABASE_POOL": str(pool)}
            if token is not None:
                os.environ["AWS_SESSION_TOKEN"] = token
            from safelight.db.migrate import upgrade

            upgrade(ROOT / "alembic.ini")
            logging.disable(logging.NOTSET)
            yield Database(server)
            from safelight.db import driver, engine

            driver.close()
            engine.reset()
