"""Files from the corpus of odd and hostile ones, sent as photos: each ends ready or failed with a reason, and is done.

The whole corpus goes through the decoder in tests/core/pictures; here a part of it goes all the way, from the form
through the bucket and the worker's function to the row.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

from safelight.pictures.facts import CONTENT_TYPES
from safelight.storage import storage
from tests.api import Photographer, post_form, run_jobs
from tests.core.pictures.hostile import everything
from tests.functions.support import sql

pytestmark = pytest.mark.usefixtures("shared_api")

# At least one for each format that is shown and for each reason there is.
READY = (
    "sound jpeg", "sound jpeg progressive", "sound png alpha", "sound png 1 bit", "sound webp",
    "sound webp animated",
    "sound tiff raw", "sound tiff pages", "sound heic", "sound heic grid", "sound avif", "sound avif alpha",
)  # fmt: skip
FAILED = (
    "jpeg, cut at 804", "tiff tiff_lzw, cut at 20540", "heic alpha, cut at 32", "avif, cut at 36", "one byte",
    "jpeg, cut at 393", "png palette, transparent, cut at 374", "tiff lab, bytes changed, 0", "jpeg of 65535 by 65535",
    "jpeg of frame type c3", "HEIF, ispe of 0 bytes", "jpeg of 0 by 0", "another format, GIF",
    "webp, cut at 12", "film and jpeg", "tiff of 0 by 64", "jpeg of 3000 passes more", "png of 0 by 9",
    "png of a million frames", "html and jpeg", "svg", "shell", "program", "jpeg of 14000 by 14000, progressive",
    "png bomb, interlaced, of 10000 by 10000", "tiff of 300 pages", "HEIF of 0 by 64", "HEIF of 13000 by 13000",
    "AVIF of 0 by 64", "AVIF of 13000 by 13000", "zip and jpeg", "pdf and jpeg", "postscript", "zeros",
    "another format, BMP", "another format, JPEG2000", "WEBP of 150 frames", "avif film", "AVIF, av1C of 1 bytes",
)  # fmt: skip


def announced_as(name: str) -> str:
    """The content type that its sender would give; whoever lies says JPEG."""
    kind = next((kind for kind in ("png", "webp", "tiff", "heic", "avif", "heif") if kind in name.lower()), "jpeg")
    return next(content_type for content_type, known in CONTENT_TYPES.items() if known == kind.replace("heif", "heic"))


def test_each_ends_ready_or_failed_with_a_reason_and_no_job_stays() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    corpus = {upload.name: upload.data for upload in everything()}
    sent: dict[str, str] = {}
    for name in (*READY, *FAILED):
        data, content_type = corpus[name], announced_as(name)
        made = anna.announce(gallery, data, filename=f"{name}.bin", content_type=content_type)
        assert post_form(made["upload"], data).status_code == 204, name
        assert anna.call("POST", f"/photos/{made['photo']['id']}/complete").status_code == 200, name
        sent[made["photo"]["id"]] = name
    assert run_jobs() == len(sent)
    endings: dict[str, tuple[str, str | None]] = {}
    for photo_id, name in sent.items():
        photo = anna.photo(photo_id)
        endings[name] = photo["status"], photo["failure_reason"]
        made_of = sql("SELECT count(*) FROM renditions WHERE photo_id = :id", id=photo_id)
        assert made_of == [(4 if name in READY else 0,)], name
        assert bool(storage().head(f"originals/{gallery}/{photo_id}")) is (name in READY), name
    assert {name: ending for name, ending in endings.items() if name in READY} == dict.fromkeys(READY, ("ready", None))
    assert {endings[name][0] for name in FAILED} == {"failed"}
    reasons = Counter(re.sub(r"\d[\d,.]*", "N", reason or "") for _, reason in endings.values() if reason)
    assert all(20 < len(reason) < 300 and reason.endswith(".") for reason in reasons)
    assert len(reasons) > 30, reasons
    ended = sql(
        "SELECT j.status, count(*) FROM jobs j JOIN photos p ON p.id = j.subject_id WHERE p.gallery_id = :id"
        " GROUP BY 1",
        id=gallery,
    )
    assert sorted(tuple(row) for row in ended) == [("completed", len(READY)), ("failed", len(FAILED))]
