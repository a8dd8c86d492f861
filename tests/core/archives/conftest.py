"""What several modules of tests here start from."""

import pytest

from tests import product
from tests.core.archives.building import MIB, filled


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> str:
    """A link to a gallery of 18 MiB, on a server that streams up to 1 MiB and builds in parts of 5."""
    monkeypatch.setenv("ARCHIVE_STREAM_LIMIT", str(MIB))
    monkeypatch.setenv("ARCHIVE_PART_SIZE", str(5 * MIB))
    monkeypatch.setenv("DATABASE_POOL", "8")
    product.forget()
    return filled(12, 1536 * 1024)
