"""The figures of a picture, against pictures whose figures can be told beforehand; faces, and the wall around them."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageEnhance, ImageFilter

from bench.scenes import grainy
from safelight.pictures import faces, metrics, palette
from safelight.pictures.environment import environment
from safelight.pictures.errors import PicturesUnavailable, UnreadablePicture
from safelight.pictures.measures import Metrics, checked
from safelight.sandbox.nursery import Nursery
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
        assert found["dhash"] == "0" * 32


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2, 3))])
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

    for name, bits in (("dhash", 128), ("phash", 64)):
        assert apart(name, other) <= bits // 10
        assert apart(name, mirrored) > bits // 4


def test_the_dhash_has_a_bit_for_each_step_to_the_right_and_down() -> None:
    def ramp(across: int, down: int) -> Image.Image:
        image = Image.new("L", (72, 72))
        image.putdata([(across * x + down * y) % 256 for y in range(72) for x in range(72)])
        return image.convert("RGB")

    assert measured(ramp(3, 0))["dhash"] == "f" * 16 + "0" * 16
    assert measured(ramp(0, 3))["dhash"] == "0" * 16 + "f" * 16
    assert measured(ramp(1, 1))["dhash"] == "f" * 32


@pytest.mark.parametrize("size", [(800, 533), (61, 97), (13, 7), (3, 3), (1, 9)], ids=str)
def test_the_figures_are_those_of_their_formulas(size: tuple[int, int]) -> None:
    """Sharpness, noise and colourfulness counted once more, by numpy and as docs/analyses.md writes them."""
    image = scene(*size, 5)
    found = measured(image)
    shown = np.asarray(image).astype(float)
    vips = pyvips.Image.new_from_buffer(encode(image, "PNG"), "").colourspace("b-w")
    gray = np.frombuffer(bytes(vips.write_to_memory()), np.uint8).reshape(size[1], size[0]).astype(float)

    def convolved(mask: list[list[int]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        framed = np.pad(gray, 1, mode="edge")
        return sum(
            (mask[y][x] * framed[y : y + size[1], x : x + size[0]] for y in range(3) for x in range(3)),
            start=np.zeros_like(gray),
        )

    tiles = found["tiles"]
    edges = convolved([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    wide, high = size[0] // tiles["columns"], size[1] // tiles["rows"]
    left, top = (size[0] - wide * tiles["columns"]) // 2, (size[1] - high * tiles["rows"]) // 2
    deviations = [
        edges[top + high * row : top + high * (row + 1), left + wide * column : left + wide * (column + 1)].std()
        for row in range(tiles["rows"])
        for column in range(tiles["columns"])
    ]
    assert tiles["sharpness"] == pytest.approx(deviations, abs=0.011)
    inner = convolved([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])[1:-1, 1:-1]
    noise = np.sqrt(np.pi / 2) / 6 * np.abs(inner).mean() if inner.size else 0.0
    assert found["noise"] == pytest.approx(noise, abs=0.0011)
    few = shown[: size[1] // 2 * 2 : 2, : size[0] // 2 * 2 : 2] if min(size) > 1 else shown
    rg, yb = few[..., 0] - few[..., 1], (few[..., 0] + few[..., 1]) / 2 - few[..., 2]
    spread = np.hypot(rg.std(ddof=1), yb.std(ddof=1)) if rg.size > 1 else 0.0
    assert found["colourfulness"] == pytest.approx(spread + 0.3 * np.hypot(rg.mean(), yb.mean()), abs=0.011)


def test_a_colours_place_in_the_plane_of_colours_is_found_again() -> None:
    for colour in ("#1428c8", "#c81e1e", "#808080", "#0a4b32", "#ffffff", "#000000"):
        pixel = pyvips.Image.black(1, 1, bands=3).linear([1] * 3, [int(colour[at : at + 2], 16) for at in (1, 3, 5)])
        [_, a, b] = pixel.cast("uchar").copy(interpretation="srgb").colourspace("lab")(0, 0)
        assert palette.chroma(colour) == pytest.approx((a, b), abs=0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"sharpness": float("nan")},
        {"noise": float("inf")},
        {"contrast": -0.1},
        {"brightness": True},
        {"brightness": "0.5"},
        {"dhash": "0" * 31},
        {"phash": "0" * 32},
        {"dhash": "<script>alert()"},
        {"palette": []},
        {"palette": [{"colour": "red", "share": 1.0}]},
        {"palette": [{"colour": "#ff0000", "share": 2.0}]},
        {"tiles": {"columns": 10**6, "rows": 10**6, "sharpness": []}},
        {"tiles": {"columns": 1, "rows": 1, "sharpness": [None]}},
        {"more": 1},
        {"version": 1},
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


@pytest.mark.parametrize("width", [1600, 1200, 800])
def test_faces_are_looked_for_at_the_same_size_in_smaller_pictures(width: int) -> None:
    """45 px of 800: at half of that the detector does not see it."""
    picture = portrait((300, 300, 90)).resize((width, width * 2 // 3))
    [face] = faces.find(encode(picture, "JPEG", quality=85))
    assert (face["x"], face["y"]) == pytest.approx((300 / 1600, 300 / 1067), abs=0.01)


def test_a_picture_of_one_row_has_no_faces() -> None:
    assert faces.find(encode(solid((90, 120, 90), 1600, 1), "JPEG")) == []


@pytest.mark.parametrize("data", [b"", b"x", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_not_searched(data: bytes) -> None:
    with pytest.raises(UnreadablePicture):
        faces.find(data)


def test_a_machine_that_cannot_search_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Nursery("safelight.pictures.cascade", environment)
    monkeypatch.setattr(faces, "NURSERY", fresh)
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(PicturesUnavailable):
        faces.find(b"x")
    fresh.close()
