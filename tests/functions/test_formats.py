"""Every format from the announcement to renditions that a browser shows."""

from __future__ import annotations

import io

import httpx
import pytest
from PIL import Image

from safelight.photos.upload import CONTENT_TYPES
from tests.api import Photographer, run_jobs
from tests.core.pictures.samples import encode, exif, orient, quadrants

pytestmark = pytest.mark.usefixtures("shared_api")

FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/tiff": "TIFF",
    "image/heic": "HEIF",
    "image/heif": "HEIF",
    "image/avif": "AVIF",
}


def test_the_formats_are_those_that_may_be_announced() -> None:
    assert set(FORMATS) == set(CONTENT_TYPES)


@pytest.mark.parametrize("content_type", FORMATS)
def test_a_photo_of_each_format_becomes_ready(content_type: str) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    data = encode(orient(quadrants(480, 320), 6), FORMATS[content_type], exif=exif(orientation=6, offset="+02:00"))
    photo_id = anna.upload(gallery, data, content_type=content_type, filename="IMG_0815.HEIC")
    assert run_jobs() == 1
    photo = anna.photo(photo_id)
    assert photo["status"] == "ready", photo["failure_reason"]
    assert (photo["width"], photo["height"]) == (480, 320)
    assert photo["camera"]["model"] == "Canon EOS R5"
    address = f"/photos/{photo_id}/renditions/"
    original = httpx.get(anna.call("GET", address + "original").headers["location"], verify=False)
    assert (original.content, original.headers["content-type"]) == (data, content_type)
    preview = httpx.get(anna.call("GET", address + "preview").headers["location"], verify=False).content
    shown = Image.open(io.BytesIO(preview)).convert("RGB")
    assert shown.size == (480, 320)
    red, green, blue = (shown.getpixel(place) for place in ((100, 80), (380, 80), (380, 240)))
    assert all(
        max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 20  # type: ignore[arg-type]  # RGB, so a tuple
        for found, wanted in ((red, (255, 0, 0)), (green, (0, 255, 0)), (blue, (0, 0, 255)))
    )
