"""Groups and ranks, on hashes made for the purpose and on a small set of drawn bursts."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations, permutations

import pytest
from PIL import Image

from bench import scenes
from bench.culling import measured, of
from safelight.analyses import culling
from safelight.analyses.culling import ALIKE, BURST, CHAIN, Frame
from safelight.analyses.looks import Look, near

GRAYS = Look(0.5, (("#808080", 1.0),), 1.5)


def frame(
    index: int,
    dhash: int,
    at: float | None = None,
    *,
    phash: int = 0,
    sharp: float = 1,
    clip: float = 0,
    contrast: float = 0.2,
    look: Look = GRAYS,
) -> Frame:
    return Frame(index, dhash, phash, at, sharp, clip, contrast, look)


def flipped(value: int, bits: int, dice: random.Random) -> int:
    return value ^ sum(1 << bit for bit in dice.sample(range(128), bits))


def indices(groups: list[list[Frame]]) -> list[list[int]]:
    return [[one.index for one in group] for group in groups]


def apart(one: Frame, other: Frame) -> int:
    return (one.dhash ^ other.dhash).bit_count()


@pytest.mark.parametrize("seed", range(8))
def test_near_duplicates_are_all_found_without_comparing_all(seed: int) -> None:
    dice = random.Random(seed)
    bases = [dice.getrandbits(128) for _ in range(12)]
    frames = [frame(index, flipped(dice.choice(bases), dice.randint(0, 14), dice)) for index in range(150)]
    found = set(culling._alike(frames))
    wanted = {(i, j) for i, j in combinations(range(150), 2) if apart(frames[i], frames[j]) <= ALIKE.dhash}
    equal = {(i, j) for i, j in wanted if frames[i].dhash == frames[j].dhash}
    assert found <= wanted
    # Equal ones are linked one to the next; the first of them stands for all.
    firsts = {one.dhash: place for place, one in reversed(list(enumerate(frames)))}
    assert {(i, j) for i, j in wanted - equal if firsts[frames[i].dhash] == i and firsts[frames[j].dhash] == j} <= found


def test_a_burst_needs_time_and_likeness() -> None:
    dice = random.Random(1)
    base = dice.getrandbits(128)
    near = flipped(base, BURST, dice)
    for at, grouped in ((9.0, True), (11.0, False), (None, False)):
        assert bool(culling.groups([frame(0, base, 0.0), frame(1, near, at)])) is grouped
    far = flipped(base, BURST + 1, dice)
    assert culling.groups([frame(0, base, 0.0), frame(1, far, 1.0)]) == []
    assert indices(culling.groups([frame(0, base), frame(1, flipped(base, ALIKE.dhash, dice))])) == [[0, 1]]
    unlike = frame(1, base, phash=2 ** (ALIKE.phash + 1) - 1)
    assert culling.groups([frame(0, base), unlike]) == []


@pytest.mark.parametrize("at", [(None, None), (0.0, 3600.0), (0.0, None)], ids=str)
def test_without_near_times_colours_brightness_and_shape_must_agree(at: tuple[float | None, float | None]) -> None:
    noon = Look(0.6, (("#5a8fd0", 0.7), ("#e8eef4", 0.3)), 1.5)
    first = frame(0, 5, at[0], look=noon)
    for other, grouped in (
        (replace(noon, brightness=0.7), True),
        (replace(noon, palette=(("#5f93d4", 0.6), ("#e4ecf4", 0.4)), aspect=1.499), True),
        (replace(noon, brightness=0.9), False),
        (replace(noon, palette=(("#d0785a", 0.7), ("#e8eef4", 0.3))), False),
        (replace(noon, palette=(("#8c8c8c", 1.0),)), False),
        (replace(noon, aspect=1.33), False),
        (replace(noon, aspect=1 / 1.5), False),
    ):
        assert bool(culling.groups([first, frame(1, 5, at[1], look=other)])) is grouped, other
        assert culling.groups([frame(0, 5, 0.0, look=noon), frame(1, 5, 2.0, look=other)]), "a burst needs no more"


def test_pictures_without_contrast_are_in_no_group() -> None:
    for contrast, grouped in ((0.0, False), (culling.FLAT / 2, False), (culling.FLAT, True)):
        pair = [frame(0, 0, 0.0, contrast=contrast), frame(1, 0, 1.0, contrast=contrast)]
        assert bool(culling.groups(pair)) is grouped
        assert bool(culling.groups([replace(one, at=None) for one in pair])) is grouped


def test_equal_hashes_of_several_looks_make_a_group_each() -> None:
    blue, red = (replace(GRAYS, palette=((colour, 1.0),)) for colour in ("#3050c0", "#c04030"))
    frames = [frame(index, 7, look=(blue, red, GRAYS)[index % 3]) for index in range(9)]
    assert indices(culling.groups(frames)) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_colours_do_not_creep() -> None:
    """From noon to dusk, each frame near to the one before."""
    frames = [
        frame(index, 7, look=replace(GRAYS, palette=((f"#{40 + 8 * index:02x}60{220 - 8 * index:02x}", 1.0),)))
        for index in range(23)
    ]
    groups = culling.groups(frames)
    assert len(groups) > 2
    for group in groups:
        assert all(near(group[0].look, one.look) for one in group)


def test_groups_do_not_creep() -> None:
    """Each frame is close to the one before; the last shows something else than the first."""
    dice, value, frames = random.Random(2), 0, []
    order = dice.sample(range(128), 128)
    for index in range(60):
        frames.append(frame(index, value, index * 1.0))
        value ^= 1 << order[2 * index] | 1 << order[2 * index + 1]
    groups = culling.groups(frames)
    assert len(groups) > 1
    assert sorted(index for group in indices(groups) for index in group) == list(range(60))
    for group in groups:
        assert all(apart(group[0], one) <= CHAIN for one in group)


def test_a_burst_does_not_go_on_for_ever() -> None:
    frames = [frame(index, 1 << (index % 8), index * 4.0, phash=index % 2) for index in range(60)]
    frames = [replace(one, phash=one.phash | (1 << (8 + one.index // 14))) for one in frames]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(culling, "_alike", lambda _: iter(()))
        groups = culling.groups(frames)
    assert len(groups) >= 4
    for group in groups:
        times = [one.at for one in group if one.at is not None]
        assert max(times) - min(times) <= culling.SPAN_SECONDS


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("shot", [2.0, -2.0])
@pytest.mark.parametrize("later", [300.0, -300.0, None])
def test_a_near_duplicate_of_another_hour_parts_no_burst(
    order: tuple[int, ...], shot: float, later: float | None
) -> None:
    taken = [(0, 0.0), (2**18 - 1, shot), (0b11111 << 100, later)]
    frames = [frame(index, *taken[at]) for index, at in enumerate(order)]
    assert indices(culling.groups(frames)) == [[0, 1, 2]]


@pytest.mark.parametrize("later", [300.0, None])
def test_what_looks_like_one_of_a_burst_only_does_not_come_with_it(later: float | None) -> None:
    """The second frame's flash did not fire; the third was taken at another hour and looks like the second."""
    dusk, noon = replace(GRAYS, brightness=0.3), replace(GRAYS, brightness=0.6)
    frames = [frame(0, 0, 0.0, look=noon), frame(1, 2**18 - 1, 2.0, look=dusk), frame(2, 2**18 - 1, later, look=dusk)]
    assert indices(culling.groups(frames)) == [[1, 2]]
    assert indices(culling.groups(frames[:2])) == [[0, 1]]


@pytest.mark.parametrize("first", [True, False])
def test_a_near_duplicate_of_another_hour_does_not_lengthen_a_burst(first: bool) -> None:
    dice = random.Random(4)
    burst = [frame(index + 1, 1 << (index % 8), index * 8.0, phash=dice.getrandbits(64)) for index in range(30)]
    again = replace(burst[0], index=0 if first else 31, at=3600.0)
    groups = culling.groups([*burst, again])
    assert sum(again in group and burst[0] in group for group in groups) == 1
    assert len(groups) >= 4
    for group in groups:
        times = [one.at for one in group if one.at is not None and one is not again]
        assert max(times) - min(times) <= culling.SPAN_SECONDS


def test_ten_thousand_equal_photos_and_ten_thousand_at_one_moment_are_affordable() -> None:
    equal = [frame(index, 0) for index in range(10_000)]
    assert [len(group) for group in culling.groups(equal)] == [10_000]
    dice = random.Random(3)
    at_once = [frame(index, dice.getrandbits(128), 5.0, phash=dice.getrandbits(64)) for index in range(10_000)]
    calls = 0
    real = culling._distance

    def counted(one: Frame, other: Frame) -> int:
        nonlocal calls
        calls += 1
        return real(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(culling, "_distance", counted)
        culling.groups(at_once)
    assert calls <= 10_000 * (culling.COMPARED * 9)


def test_sharpness_first_then_light_then_order() -> None:
    group = [frame(0, 0, sharp=8), frame(1, 0, sharp=10), frame(2, 0, sharp=10, clip=0.1), frame(3, 0, sharp=10)]
    assert [(one.index, score) for one, score in culling.ranked(group)] == [(1, 1.0), (3, 1.0), (0, 0.8), (2, 0.8)]
    flat = [frame(0, 0, sharp=0, clip=1), frame(1, 0, sharp=0)]
    assert [(one.index, score) for one, score in culling.ranked(flat)] == [(1, 1.0), (0, 0.5)]


def test_drawn_bursts_are_told_apart() -> None:
    """A fixed, small part of what `python -m bench.culling` does at length."""
    found = [measured((number, shot)) for number in range(10) for shot in range(3)]
    same = [(i, j) for i, j in combinations(range(30), 2) if i // 3 == j // 3]
    different = [(i, j) for i, j in combinations(range(30), 2) if i // 3 != j // 3]
    assert sum(apart(found[i], found[j]) <= BURST for i, j in same) >= len(same) - 1
    assert not [pair for pair in different if apart(found[pair[0]], found[pair[1]]) <= BURST]
    assert sum(culling.alike(found[i], found[j]) for i, j in same) >= 0.6 * len(same)
    assert not [pair for pair in different if culling.alike(found[pair[0]], found[pair[1]])]


def test_flat_and_recoloured_pictures_are_told_apart_as_they_are_measured() -> None:
    """What only the hashes see would be one picture."""
    shown = scenes.scene(3).resize((600, 400))
    red, green, blue = shown.split()
    pictures = [shown, Image.merge("RGB", (blue, green, red)), shown.resize((400, 400))]
    pictures += [Image.new("RGB", (600, 400), colour) for colour in ("#777777", "#787878", "#777777")]
    assert culling.groups([replace(of(picture), index=at) for at, picture in enumerate(pictures)]) == []
    again = [shown, shown.resize((300, 200)), scenes.scene(4)]
    assert indices(culling.groups([replace(of(one), index=at) for at, one in enumerate(again)])) == [[0, 1]]
