"""Where archives are read from: the product's own objects."""

from safelight import storage
from safelight.archives.fetch import Fetcher, renewing
from safelight.config import settings

SOURCE_SECONDS = 3600
"""How long an address is good: longer than any one answer may take. Made anew every minute."""


def own_fetcher() -> Fetcher:
    """A fetcher of the product's objects."""
    return Fetcher(renewing(lambda: storage.internal_signer().get_urls(SOURCE_SECONDS)), socket=settings().s3_socket)
