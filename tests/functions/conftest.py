"""The product for a whole module of tests that each bring their own photographer."""

from collections.abc import Iterator

import pytest

from safelight.config import Settings
from safelight.shares import links
from safelight.throttle import Rule
from tests import api as front
from tests import product


@pytest.fixture(scope="package", autouse=True)
def missing_links() -> Iterator[Rule]:
    """Any number of missing links, because all visitors of a test have one address; gives the product's own rule."""
    with pytest.MonkeyPatch.context() as patch:
        own = links.MISSED
        patch.setattr(links, "MISSED", Rule(own.name, 1_000_000, 60))
        yield own


@pytest.fixture(scope="module")
def shared_api(module_settings: Settings, api_server: front.Server) -> Iterator[str]:
    """As `api`, for all tests of a module; with enough connections for tests that call in parallel."""
    assert module_settings.bucket
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_POOL", "12")
        product.forget()
        yield api_server.url
        while front.opened:
            front.opened.pop().close()
        api_server.forget()
