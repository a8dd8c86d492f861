"""The figures of a picture, against pictures whose figures can be told beforehand; faces, and the wall around them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import pyvips
from PIL import Image, ImageEnhance, ImageFilter

from bench.scenes import grainy
from safelight.pictures import faces, metrics, palette
from safelight.pictures.errors import PicturesUnavailable, UnreadablePicture
from safelight.pictures.measures import Metrics, checked
from safelight.pictures.nursery import Nursery
from tests.core.pictures.drawn import portrait
from tests.core.pictures.samples import encode, scene


def measured(image: Image.Image) -> Metrics:
    found = metrics.measure(pyvips.Image.new_from_buffer(encode(image, "PNG"), ""))
    json.dumps(found, allow_nan=False)
    return checked(found)


def solid(colour: tuple[int, int, int], width: int = 300, height: int = 200) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def checkers(low: int, high: int) -> Image.Image:
    """Squares of 25 px."""
    image = Image.new("L", (32, 24))
    image.putdata([high if (x + y) % 2 else low for y in range(24) for x in range(32)])
    return image.resize((800, 600), Image.Resampling.NEAREST).convert("RGB")


SIZES = [(1, 1), (2, 1), (1, 900), (1600, 1), (3, 3), (13, 7), (2560, 3), (800, 600), (601, 1201)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("what", ["scene", "flat", "black", "white"])
def test_every_size_has_figures(size: tuple[int, int], what: str) -> None:
    flat = {"flat": (200, 80, 40), "black": (0, 0, 0), "white": (255, 255, 255)}
    found = measured(scene(*size) if what == "scene" else solid(flat[what], *size))
    assert sum(one["share"] for one in found["palette"]) == pytest.approx(1, abs=0.001)
    if what != "scene":
        assert (found["sharpness"], found["contrast"], found["noise"], found["tonal_range"]) == (0, 0, 0, 0)
        assert (found["shadows"], found["highlights"]) == (float(what == "black"), float(what == "white"))
        assert found["dhash"] == "0" * 16


@pytest.mark.parametrize("seed", range(4))
def test_sharpness_falls_with_every_blur(seed: int) -> None:
    image = scene(1600, 1067, seed)
    sharp = [measured(image.filter(ImageFilter.GaussianBlur(radius)))["sharpness"] for radius in (0, 1, 2, 4, 8)]
    assert sharp == sorted(sharp, reverse=True)
    assert len(set(sharp)) == 5


def test_a_sharp_subject_on_a_soft_background_counts() -> None:
    image = scene(1200, 800)
    soft = image.filter(ImageFilter.GaussianBlur(10))
    subject = soft.copy()
    subject.paste(image.crop((400, 250, 800, 550)), (400, 250))
    whole, background = measured(image)["sharpness"], measured(soft)["sharpness"]
    assert measured(subject)["sharpness"] > 0.6 * whole > 3 * background
    tiles = measured(subject)["tiles"]
    assert (tiles["columns"], tiles["rows"]) == (12, 8)
    middle, corner = tiles["sharpness"][4 * 12 + 6], tiles["sharpness"][0]
    assert middle > 5 * corner


def test_tones_are_those_of_the_picture() -> None:
    found = measured(checkers(0, 255))
    assert (found["shadows"], found["highlights"]) == pytest.approx((0.5, 0.5), abs=0.01)
    assert found["brightness"] == pytest.approx(0.5, abs=0.01)
    assert found["contrast"] == pytest.approx(0.5, abs=0.01)
    assert found["tonal_range"] == 1
    middling = measured(checkers(100, 150))
    assert (middling["shadows"], middling["highlights"]) == (0, 0)
    assert middling["brightness"] == pytest.approx(125 / 255, abs=0.01)
    assert middling["contrast"] == pytest.approx(25 / 255, abs=0.005)


@pytest.mark.parametrize("sigma", [4, 8, 16])
def test_noise_is_found_again(sigma: int) -> None:
    """Independent noise in three channels is weaker in their luminance; 0.2126, 0.7152, 0.0722 leave 0.75 of it."""
    found = measured(grainy(solid((128, 128, 128), 800, 600), sigma, random.Random(1)))["noise"]
    assert found == pytest.approx(0.75 * sigma, rel=0.15)


def test_colourfulness_knows_gray_from_colour() -> None:
    image = scene(600, 400)
    levels = [measured(ImageEnhance.Color(image).enhance(much))["colourfulness"] for much in (0, 0.5, 1, 1.5)]
    assert levels[0] < 1
    assert levels == sorted(levels)
    # Red beside green: rg is 255 or -255, yb 127.5 for both.
    halves = solid((255, 0, 0), 400, 200)
    halves.paste(solid((0, 255, 0), 200, 200), (0, 0))
    assert measured(halves)["colourfulness"] == pytest.approx(255 + 0.3 * 127.5, rel=0.01)


def test_the_palette_has_the_colours_and_their_shares() -> None:
    image = solid((20, 40, 200), 400, 300)
    image.paste(solid((250, 250, 240), 400, 90), (0, 0))
    image.paste(solid((200, 30, 30), 40, 60), (10, 200))
    found = measured(image)["palette"]
    assert [one["colour"] for one in found] == ["#1428c8", "#fafaf0", "#c81e1e"]
    assert [one["share"] for one in found] == pytest.approx([0.68, 0.3, 0.02], abs=0.03)
    assert palette.dominant([(50.0, 0.0, 0.0)] * 10, 5) == [("#777777", 1.0)]


def test_hashes_stand_what_a_copy_goes_through() -> None:
    image = scene(1200, 800, 3)
    first = measured(image)
    copy = ImageEnhance.Brightness(image.resize((500, 333))).enhance(1.2).filter(ImageFilter.GaussianBlur(1))
    other, mirrored = measured(copy), measured(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))

    def apart(name: str, one: Metrics) -> int:
        return (int(first[name], 16) ^ int(one[name], 16)).bit_count()

    for name in ("dhash", "phash"):
        assert apart(name, other) <= 6
        assert apart(name, mirrored) > 16


@pytest.mark.parametrize(
    "change",
    [
        {"sharpness": float("nan")},
        {"noise": float("inf")},
        {"contrast": -0.1},
        {"brightness": True},
        {"brightness": "0.5"},
        {"dhash": "0" * 15},
        {"dhash": "<script>alert()"},
        {"palette": []},
        {"palette": [{"colour": "red", "share": 1.0}]},
        {"palette": [{"colour": "#ff0000", "share": 2.0}]},
        {"tiles": {"columns": 10**6, "rows": 10**6, "sharpness": []}},
        {"tiles": {"columns": 1, "rows": 1, "sharpness": [None]}},
        {"more": 1},
        {"version": 2},
    ],
)
def test_what_a_child_could_not_have_measured_is_refused(change: dict[str, Any]) -> None:
    sound = measured(scene(60, 40))
    with pytest.raises((ValueError, TypeError, KeyError)):
        checked(sound | change)
    incomplete: object
    for incomplete in (None, [], {}, {name: value for name, value in sound.items() if name != "noise"}):
        with pytest.raises((ValueError, TypeError, KeyError)):
            checked(incomplete)


def test_faces_are_found_where_they_are() -> None:
    found = faces.find(encode(portrait((300, 200, 360), (1000, 500, 240)), "JPEG", quality=85))
    assert len(found) == 2
    for face, (x, y, size) in zip(
        sorted(found, key=lambda one: one["x"]), ((300, 200, 360), (1000, 500, 240)), strict=True
    ):
        middle = (face["x"] + face["width"] / 2) * 1600, (face["y"] + face["height"] / 2) * 1067
        assert middle == pytest.approx((x + size / 2, y + size / 2), abs=size * 0.2)
    assert faces.find(encode(solid((90, 120, 90), 1600, 1067), "JPEG")) == []


@pytest.mark.parametrize("data", [b"", b"x", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_not_searched(data: bytes) -> None:
    with pytest.raises(UnreadablePicture):
        faces.find(data)


def test_a_machine_that_cannot_search_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Nursery("cascade")
    monkeypatch.setattr(faces, "NURSERY", fresh)
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(PicturesUnavailable):
        faces.find(b"x")
    fresh.close()
