"""How well hashes tell bursts from other pictures, and what ten thousand photos cost to group.

`python -m bench.culling` takes some minutes. Scenes and their frames are drawn (`bench.scenes`). For every threshold
it prints the recall, the share of pairs of one scene that are within it, and the false pairs, those of two scenes that
are. Then the CPU time of a photo's figures, in a process like the one that takes them, and of grouping a large gallery.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations

import pyvips
from PIL import Image

from bench import scenes
from bench.measure import ROOT, median, verdict
from safelight.analyses import culling, looks
from safelight.pictures import metrics
from safelight.pictures.environment import environment


def measured(task: tuple[int, int]) -> culling.Frame:
    """One frame, measured from its file; as if nobody knew when it was taken."""
    return of(scenes.frame(*task), scenes.quality(*task))


def of(picture: Image.Image, quality: int = 90) -> culling.Frame:
    """A picture, saved and measured, as culling sees it."""
    image = pyvips.Image.new_from_buffer(scenes.jpeg(picture, quality), "").copy_memory()
    figures = metrics.measure(image)
    palette = tuple((one["colour"], one["share"]) for one in figures["palette"])
    look = looks.Look(figures["brightness"], palette, image.width / image.height)
    hashes = int(figures["dhash"], 16), int(figures["phash"], 16)
    return culling.Frame(0, *hashes, None, 1.0, 0.0, figures["contrast"], look)


def table(found: Sequence[culling.Frame], shots: int) -> None:
    """Recall and false pairs of either hash at every threshold, then of the rules of culling."""
    counted = {name: (Counter[int](), Counter[int]()) for name in ("dhash", "phash")}
    alike = [0, 0]
    for (i, one), (j, other) in combinations(enumerate(found), 2):
        two = i // shots != j // shots
        counted["dhash"][two][(one.dhash ^ other.dhash).bit_count()] += 1
        counted["phash"][two][(one.phash ^ other.phash).bit_count()] += 1
        alike[two] += culling.alike(one, other)
    pairs, others = (counts.total() for counts in counted["dhash"])

    def within(name: str, bits: int) -> tuple[float, int]:
        same, different = (sum(n for at, n in counts.items() if at <= bits) for counts in counted[name])
        return same / pairs, different

    print(f"{pairs:,} pairs of one scene, {others:,} of two")
    print(f"{'bits':>4}  {'dHash recall':>13}{'false pairs':>13}  {'pHash recall':>13}{'false pairs':>13}")
    for bits in range(41):
        print(f"{bits:4}" + "".join("  {:13.4f}{:13,}".format(*within(name, bits)) for name in counted))
    recall, false = within("dhash", culling.BURST)
    print(f"a burst, dHash within {culling.BURST} bits:")
    print(f"  recall {recall:.4f}, {verdict(recall, least=0.97)}")
    print(f"  {false} false pairs of {others:,}, {verdict(false, most=0)}")
    print(f"whenever taken: recall {alike[0] / pairs:.4f}, {alike[1]} false pairs, {verdict(alike[1], most=0)}")


def figures_cost(rounds: int) -> None:
    """CPU time (user and system) of one photo's figures from the 1600 px preview, as the child that takes them is set
    up: in a process of its own, with one thread, without libvips' cache."""
    command = [sys.executable, "-m", "bench.culling", "--figures", str(rounds)]
    subprocess.run(command, env=environment(sys.path), cwd=ROOT, check=True)


def figures(rounds: int) -> None:
    """What that process does."""
    pyvips.cache_set_max(0)
    image = pyvips.Image.new_from_buffer(scenes.jpeg(scenes.scene(1).resize((1600, 1067)), 90), "").copy_memory()
    metrics.measure(image)
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        metrics.measure(image)
        spent.append((time.process_time() - start) * 1000)
    print(f"figures of a photo: {median(spent):.1f} ms CPU, {verdict(median(spent), most=30)}", flush=True)


def grouping_cost(count: int) -> None:
    """CPU time of grouping `count` photos: bursts of five, two seconds from frame to frame, and lone ones."""
    dice = random.Random(5)
    frames = []
    grays = (("#808080", 1.0),)
    for number in range(count):
        if number % 5 == 0:
            base = dice.getrandbits(128)
        near = base ^ sum(1 << dice.randrange(128) for _ in range(3))
        at = number * 2.0 + number // 5 * 60
        frames.append(culling.Frame(number, near, near >> 64, at, 10.0, 0.0, 0.2, looks.Look(0.5, grays, 1.5)))
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
    parser.add_argument("--figures", type=int, metavar="ROUNDS", help="only the cost of a photo's figures, here")
    given = parser.parse_args()
    if given.figures:
        figures(given.figures)
        return
    tasks = [(number, shot) for number in range(given.scenes) for shot in range(given.shots)]
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        found = list(pool.map(measured, tasks, chunksize=16))
    print(f"{given.scenes} scenes, {given.shots} frames each")
    table(found, given.shots)
    figures_cost(15)
    grouping_cost(given.photos)


if __name__ == "__main__":
    main()
