"""Groups and ranks, on hashes made for the purpose and on a small set of drawn bursts."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
import pyvips

from bench import scenes
from safelight.analyses import culling
from safelight.analyses.culling import ALIKE, BURST, CHAIN, Bits, Frame
from safelight.pictures import metrics


def frame(
    index: int, dhash: int, at: float | None = None, *, phash: int = 0, sharp: float = 1, clip: float = 0
) -> Frame:
    return Frame(index, dhash, phash, at, sharp, clip)


def flipped(value: int, bits: int, dice: random.Random) -> int:
    return value ^ sum(1 << bit for bit in dice.sample(range(64), bits))


def indices(groups: list[list[Frame]]) -> list[list[int]]:
    return [[one.index for one in group] for group in groups]


def within(one: Frame, other: Frame, bits: Bits) -> bool:
    return (one.dhash ^ other.dhash).bit_count() <= bits.dhash and (one.phash ^ other.phash).bit_count() <= bits.phash


@pytest.mark.parametrize("seed", range(8))
def test_near_duplicates_are_all_found_without_comparing_all(seed: int) -> None:
    dice = random.Random(seed)
    bases = [dice.getrandbits(64) for _ in range(12)]
    frames = [frame(index, flipped(dice.choice(bases), dice.randint(0, 6), dice)) for index in range(150)]
    found = set(culling._alike(frames))
    wanted = {(i, j) for i, j in combinations(range(150), 2) if within(frames[i], frames[j], ALIKE)}
    equal = {(i, j) for i, j in wanted if frames[i].dhash == frames[j].dhash}
    assert found <= wanted
    # Equal ones are linked one to the next; the first of them stands for all.
    firsts = {one.dhash: place for place, one in reversed(list(enumerate(frames)))}
    assert {(i, j) for i, j in wanted - equal if firsts[frames[i].dhash] == i and firsts[frames[j].dhash] == j} <= found


def test_a_burst_needs_time_and_likeness() -> None:
    dice = random.Random(1)
    base = dice.getrandbits(64)
    near = flipped(base, BURST.dhash, dice)
    for at, grouped in ((9.0, True), (11.0, False), (None, False)):
        assert bool(culling.groups([frame(0, base, 0.0), frame(1, near, at)])) is grouped
    far = flipped(base, BURST.dhash + 1, dice)
    assert culling.groups([frame(0, base, 0.0), frame(1, far, 1.0)]) == []
    unlike = frame(1, near, 1.0, phash=2 ** (BURST.phash + 1) - 1)
    assert culling.groups([frame(0, base, 0.0), unlike]) == []
    assert indices(culling.groups([frame(0, base), frame(1, flipped(base, ALIKE.dhash, dice))])) == [[0, 1]]


def test_groups_do_not_creep() -> None:
    """Each frame is close to the one before; the last shows something else than the first."""
    dice, value, frames = random.Random(2), 0, []
    order = dice.sample(range(64), 64)
    for index in range(60):
        frames.append(frame(index, value, index * 1.0))
        value ^= 1 << order[index]
    groups = culling.groups(frames)
    assert len(groups) > 1
    assert sorted(index for group in indices(groups) for index in group) == list(range(60))
    for group in groups:
        assert all(within(group[0], one, CHAIN) for one in group)


def test_a_burst_does_not_go_on_for_ever() -> None:
    frames = [frame(index, 1 << (index % 8), index * 4.0, phash=index % 2) for index in range(60)]
    frames = [Frame(one.index, one.dhash, one.phash | (1 << (8 + one.index // 14)), one.at, 1, 0) for one in frames]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(culling, "_alike", lambda _: iter(()))
        groups = culling.groups(frames)
    assert len(groups) >= 4
    for group in groups:
        times = [one.at for one in group if one.at is not None]
        assert max(times) - min(times) <= culling.SPAN_SECONDS


def test_ten_thousand_equal_photos_and_ten_thousand_at_one_moment_are_affordable() -> None:
    equal = [frame(index, 0) for index in range(10_000)]
    assert [len(group) for group in culling.groups(equal)] == [10_000]
    dice = random.Random(3)
    at_once = [frame(index, dice.getrandbits(64), 5.0, phash=dice.getrandbits(64)) for index in range(10_000)]
    calls = 0
    real = culling._within

    def counted(one: Frame, other: Frame, bits: Bits) -> bool:
        nonlocal calls
        calls += 1
        return real(one, other, bits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(culling, "_within", counted)
        culling.groups(at_once)
    assert calls <= 10_000 * (culling.COMPARED * 5)


def test_sharpness_first_then_light_then_order() -> None:
    group = [frame(0, 0, sharp=8), frame(1, 0, sharp=10), frame(2, 0, sharp=10, clip=0.1), frame(3, 0, sharp=10)]
    assert [(one.index, score) for one, score in culling.ranked(group)] == [(1, 1.0), (3, 1.0), (0, 0.8), (2, 0.8)]
    flat = [frame(0, 0, sharp=0, clip=1), frame(1, 0, sharp=0)]
    assert [(one.index, score) for one, score in culling.ranked(flat)] == [(1, 1.0), (0, 0.5)]


def test_drawn_bursts_are_told_apart() -> None:
    """A fixed, small part of what `python -m bench.culling` does at length."""
    found: list[Frame] = []
    for number in range(10):
        for shot in range(3):
            data = scenes.jpeg(scenes.frame(number, shot), scenes.quality(number, shot))
            gray = pyvips.Image.new_from_buffer(data, "").colourspace("b-w").extract_band(0).copy_memory()
            # All in one moment: only the hashes can tell.
            found.append(Frame(len(found), metrics.dhash(gray), metrics.phash(gray), 0.0, 1, 0))
    same = [(i, j) for i, j in combinations(range(30), 2) if i // 3 == j // 3]
    different = [(i, j) for i, j in combinations(range(30), 2) if i // 3 != j // 3]
    assert sum(within(found[i], found[j], BURST) for i, j in same) >= len(same) - 1
    assert not [pair for pair in different if within(found[pair[0]], found[pair[1]], BURST)]
