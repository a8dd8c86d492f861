"""The product at an address with a path: API Gateway's own, where the stage precedes everything."""

from __future__ import annotations

import pytest

from safelight.config import settings
from tests import product
from tests.api import Photographer, client, run_jobs


@pytest.fixture
def staged(api: str, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001 - the product must run
    monkeypatch.setenv("BASE_URL", "https://abc.execute-api.eu-central-1.amazonaws.com/prod")
    product.forget()
    return settings().base_url


def test_what_is_handed_out_leads_back(staged: str) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()
    photo_id = anna.upload(gallery["id"])
    run_jobs()
    share = anna.share(gallery["id"], password="orchard")
    assert share["url"] == f"{staged}/s/{share['share_id']}"

    visitor = client()
    unlocked = visitor.post(f"/s/{share['share_id']}/unlock", json={"password": "orchard"})
    assert "Path=/prod/s/" in unlocked.headers["set-cookie"]
    grant = {"Cookie": unlocked.headers["set-cookie"].partition(";")[0]}
    [photo] = visitor.get(f"/s/{share['share_id']}", headers=grant).json()["photos"]
    assert photo["full_url"] == f"/prod/s/{share['share_id']}/photos/{photo_id}"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://abc.execute-api.eu-central-1.amazonaws.com", 200), ("https://evil.example.com", 403)],
)
def test_the_refresh_cookie_works_from_our_own_pages_only(staged: str, origin: str, status: int) -> None:
    assert staged.startswith("https:")
    anna = Photographer.registered()
    cookie = {"Cookie": f"__Host-safelight_refresh={anna.tokens['refresh_token']}", "Origin": origin}
    assert client().post("/auth/refresh", headers=cookie).status_code == status
