"""How well two hashes tell bursts from other pictures, and what ten thousand photos cost to group.

`python -m bench.culling` takes some minutes. Scenes and their frames are drawn (`bench.scenes`). For every
threshold it prints the recall, the share of pairs of one scene that are within it, and the false pairs, those of two
scenes that are. Then the CPU time of a photo's figures, and of grouping a large gallery.
"""

import argparse
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations

import pyvips

from bench import scenes
from bench.measure import median, verdict
from safelight.analyses import culling
from safelight.pictures import metrics

NAMES = ("dhash", "phash", "both")


def hashes(task: tuple[int, int]) -> tuple[int, int]:
    """Both hashes of one frame, taken from its file."""
    data = scenes.jpeg(scenes.frame(*task), scenes.quality(*task))
    gray = pyvips.Image.new_from_buffer(data, "").colourspace("b-w").extract_band(0).copy_memory()
    return metrics.dhash(gray), metrics.phash(gray)


def distances(
    found: Sequence[int], shots: int, confirm: Sequence[int] | None = None
) -> tuple[Counter[int], Counter[int]]:
    """How many pairs of one scene, and of two, are at each distance; with `confirm`, only those whose pHash agrees."""
    same: Counter[int] = Counter()
    different: Counter[int] = Counter()
    for (i, one), (j, other) in combinations(enumerate(found), 2):
        if confirm is not None and (confirm[i] ^ confirm[j]).bit_count() > culling.BURST.phash:
            continue
        (same if i // shots == j // shots else different)[(one ^ other).bit_count()] += 1
    return same, different


def table(found: Sequence[tuple[int, int]], shots: int) -> None:
    """Recall and false pairs of either hash at every threshold, and of dHash when pHash has to agree."""
    counted = [distances([one[at] for one in found], shots) for at in range(2)]
    counted.append(distances([one[0] for one in found], shots, confirm=[one[1] for one in found]))
    total = counted[0][0].total()
    print(f"{'bits':>4}" + "".join(f"  {name + ' recall':>13}{'false pairs':>13}" for name in NAMES))
    for bits in range(25):
        cells = []
        for same, different in counted:
            recall = sum(count for at, count in same.items() if at <= bits) / total
            false = sum(count for at, count in different.items() if at <= bits)
            cells.append(f"  {recall:13.4f}{false:13,}")
        print(f"{bits:4}" + "".join(cells))
    same, different = counted[2]
    within = sum(count for at, count in same.items() if at <= culling.BURST.dhash) / total
    false = sum(count for at, count in different.items() if at <= culling.BURST.dhash)
    print(f"a burst, dHash within {culling.BURST.dhash} bits and pHash within {culling.BURST.phash}:")
    print(f"  recall {within:.4f}, {verdict(within, least=0.97)}")
    print(f"  {false} false pairs of {counted[0][1].total():,}, {verdict(false, most=0)}")


def figures_cost(rounds: int) -> None:
    """CPU time of one photo's figures from the 1600 px preview."""
    image = pyvips.Image.new_from_buffer(scenes.jpeg(scenes.scene(1).resize((1600, 1067)), 90), "").copy_memory()
    metrics.measure(image)
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        metrics.measure(image)
        spent.append((time.process_time() - start) * 1000)
    print(f"figures of a photo: {median(spent):.1f} ms CPU, {verdict(median(spent), most=30)}")


def grouping_cost(count: int) -> None:
    """CPU time of grouping `count` photos: bursts of five, two seconds from frame to frame, and lone ones."""
    dice = random.Random(5)
    frames = []
    for number in range(count):
        if number % 5 == 0:
            base = dice.getrandbits(64)
        near = base ^ sum(1 << dice.randrange(64) for _ in range(3))
        frames.append(culling.Frame(number, near, near, number * 2.0 + number // 5 * 60, 10.0, 0.0))
    start = time.process_time()
    groups = culling.groups(frames)
    spent = time.process_time() - start
    print(f"{count:,} photos: {len(groups):,} groups in {spent:.2f} s CPU")


def main() -> None:
    """Print it all."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--scenes", type=int, default=150)
    parser.add_argument("--shots", type=int, default=6)
    parser.add_argument("--photos", type=int, default=10_000)
    given = parser.parse_args()
    tasks = [(number, shot) for number in range(given.scenes) for shot in range(given.shots)]
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        found = list(pool.map(hashes, tasks, chunksize=16))
    print(f"{given.scenes} scenes, {given.shots} frames each")
    table(found, given.shots)
    figures_cost(15)
    grouping_cost(given.photos)


if __name__ == "__main__":
    main()
