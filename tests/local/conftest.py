"""Running gateways that several tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.limits import Limits
from tests.local.gateways import QUICK, Running, running


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With the limits of every installation, but for the number of requests."""
    with running(tmp_path_factory.mktemp("gateway") / "log", limits=Limits(requests_per_second=0)) as made:
        yield made


@pytest.fixture(scope="package")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With short limits of time."""
    with running(tmp_path_factory.mktemp("quick") / "log", limits=QUICK) as made:
        yield made
