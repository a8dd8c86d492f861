"""Every hostile and odd file of `hostile`, as the worker would process it: a photo or a reason, and nothing else."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from resource import RUSAGE_CHILDREN, getrusage

import psutil
import pytest
from PIL import Image

from safelight.pictures import child
from safelight.pictures.errors import UnreadablePicture
from safelight.pictures.nursery import Nursery
from safelight.pictures.types import SIZES, Rendered
from tests.core.pictures.hostile import Upload, everything
from tests.core.pictures.samples import jpeg

GIB_IN_KIB = 1024 * 1024
# What a library or Python would say, which tells a photographer nothing.
JARGON = re.compile(
    r"vips|heif_|libjpeg|Error|error:|exception|0x|\bNone\b|segment|marker|chunk|\bbox\b", re.IGNORECASE
)


def outcome(upload: Upload) -> Rendered | str:
    """The renditions, or the reason why there are none. Any other end is an error of the test's."""
    try:
        return child.render(upload.data)
    except UnreadablePicture as error:
        return error.reason


def complaints(upload: Upload, result: Rendered | str) -> list[str]:
    """What is wrong with the outcome."""
    if upload.ready is not None and upload.ready != isinstance(result, Rendered):
        return [f"{upload.name}: {result if isinstance(result, str) else 'became a photo'}"]
    if isinstance(result, str):
        sentence = 20 < len(result) < 300 and result.endswith(".") and result.isprintable()
        stopped = "had to stop" in result or "takes too long" in result
        return [f"{upload.name}: {result}"] if not sentence or stopped or JARGON.search(result) else []
    return [f"{upload.name}: {name}" for name in unsound(result)]


def unsound(made: Rendered) -> list[str]:
    """The renditions that another decoder does not open as what they should be."""
    found = []
    for rendition in made.renditions:
        with Image.open(io.BytesIO(rendition.data)) as image:
            image.load()
            sound = image.size == (rendition.width, rendition.height)
            sound &= max(image.size) <= SIZES[rendition.name] and not image.getexif()
            sound &= not {"exif", "icc_profile", "comment", "xmp"} & image.info.keys()
        if not sound:
            found.append(rendition.name)
    return found


def test_every_file_becomes_a_photo_or_is_refused_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = everything()
    assert len(uploads) > 800
    home = Nursery()
    monkeypatch.setattr(child, "NURSERY", home)
    try:
        assert child.render(jpeg()).width == 320
        warm = home._warm
        with ThreadPoolExecutor(2) as threads:
            results = list(threads.map(outcome, uploads))
        assert child.render(jpeg()).width == 320
        assert home._warm == warm, "the warm process never fell"
        assert not psutil.Process(warm).children()
    finally:
        home.close()
    wrong = [words for upload, result in zip(uploads, results, strict=True) for words in complaints(upload, result)]
    assert not wrong, "\n".join(wrong)
    # Of all processes that ended under this one, the children of the warm process among them.
    assert getrusage(RUSAGE_CHILDREN).ru_maxrss < GIB_IN_KIB
    ready = sum(isinstance(result, Rendered) for result in results)
    assert 300 < ready < len(results) - 300, "the corpus has enough of both"
