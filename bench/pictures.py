"""The rendition set of a 24 MP JPEG: ours against Pillow size by size, and against libjpeg's own programs as a floor.

`python -m bench.pictures` takes three minutes. All cases run in turns in one run; figures are medians of CPU time (user
+ system) for a picture, from a warm start. The floor is what nobody goes below at this quality: `djpeg` decoding the
picture once and `cjpeg -progressive` encoding the four renditions, with no resizing, no orientation, no colour
management and no thumbhash. What the product does besides renditions while it has the picture in memory, the measures
for culling and the list of what a clean original leaves out, is counted by itself and taken off.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from bench.measure import ROOT, interleaved, median, verdict
from safelight.pictures import child
from safelight.pictures.types import SIZES

PEERS = {
    "Pillow, each size": "image = Image.open(source); image.load()",
    "Pillow, each size, draft": "image = Image.open(source); image.draft('RGB', (side, side)); image.load()",
}
# Each prints the CPU seconds of a picture (mean of the repeats, after one that warms up) and the peak of memory, KiB.
PILLOW = """
import io, json, sys, time
from resource import RUSAGE_SELF, getrusage
from PIL import Image, ImageCms, ImageOps
srgb = ImageCms.createProfile("sRGB")
def process():
    for name, side in (("large", 2560), ("preview", 1600), ("thumb", 400), ("grayscale", 1600)):
        source = sys.argv[1]
        {open}
        profile = image.info.get("icc_profile")
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        image = ImageOps.exif_transpose(image)
        if profile:
            image = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb)
        if name == "grayscale":
            image = image.convert("L")
        image.save(io.BytesIO(), "JPEG", quality=80, progressive=True, optimize=True)
process()
start = time.process_time()
for _ in range(int(sys.argv[2])):
    process()
cpu = (time.process_time() - start) / int(sys.argv[2])
print(json.dumps({"cpu": cpu, "peak": getrusage(RUSAGE_SELF).ru_maxrss}))
"""
# The children are the warm process's, so their time shows in its own, in /proc, once they have ended.
OURS = """
import json, os, sys, time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from safelight.pictures import child
from safelight.pictures.child import NURSERY
data = Path(sys.argv[1]).read_bytes()
def cpu():
    fields = Path(f"/proc/{NURSERY._warm}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + time.process_time()
child.render(data)
start = cpu()
for _ in range(int(sys.argv[2])):
    child.render(data)
spent = (cpu() - start) / int(sys.argv[2])
NURSERY.close()
print(json.dumps({"cpu": spent, "peak": getrusage(RUSAGE_CHILDREN).ru_maxrss}))
"""
# The same call as in the child, on the same picture, in a process that has done it before.
MEASURES = """
import json, sys, time
import pyvips
from pathlib import Path
from safelight.pictures import metrics, strip
preview = pyvips.Image.new_from_file(sys.argv[1]).copy_memory()
data = Path(sys.argv[2]).read_bytes()
def process():
    metrics.measure(preview)
    strip.clean(data, "jpeg")
process()
start = time.process_time()
for _ in range(int(sys.argv[3])):
    process()
print(json.dumps({"cpu": (time.process_time() - start) / int(sys.argv[3])}))
"""
# In a fresh process, bytecode and pages at hand: processor time until the decoders are there.
START = """
import time
start = time.process_time()
import {modules}
print(time.process_time() - start)
"""
# Made in a process of its own: a child starts its life with its parent's peak of memory, and this one's is to stay low.
MAKE = """
import random, sys
import pillow_heif, pyvips
from PIL import Image
from pathlib import Path
def scene(width, height):
    dice, image = random.Random(1), Image.new("RGB", (width, height), "gray")
    for cells, weight in ((5, 0.9), (30, 0.4), (150, 0.25), (800, 0.15), (3000, 0.08)):
        down = cells * height // width
        noise = Image.frombytes("RGB", (cells, down), dice.randbytes(cells * down * 3))
        image = Image.blend(image, noise.resize((width, height), Image.Resampling.BICUBIC), weight)
    return image
target = Path(sys.argv[1])
srgb, p3 = (bytes(pyvips.Operation.call("profile_load", name)) for name in ("srgb", "p3"))
turned = Image.Exif()
turned[0x112] = 6
image = scene(6000, 4000)
image.save(target / "plain.jpg", quality=92)
image.save(target / "srgb.jpg", quality=92, icc_profile=srgb)
image.save(target / "p3.jpg", quality=92, exif=turned, icc_profile=p3)
pillow_heif.register_heif_opener()
image.save(target / "plain.heic", quality=80, tile_size=512)
image.resize((12000, 8000)).save(target / "96mp.jpg", quality=85, progressive=True)
"""
# SSIM (Wang et al. 2004: Gaussian window of sigma 1.5, K1 0.01, K2 0.03) of the luminance against a Lanczos reduction
# of the fully decoded picture, all in floating point: of `large` as it goes into the JPEG encoder, of the JPEG, and of
# the reference itself, rounded, as a JPEG of the same quality.
LIKENESS = """
import json, sys, pyvips
from pathlib import Path
from PIL import Image
from safelight.pictures import decode, facts
data = Path(sys.argv[1]).read_bytes()
large = decode.decode(data, facts.inspect(data)).image
size = large.width, large.height
reduced = [band.convert("F").resize(size, Image.Resampling.LANCZOS) for band in Image.open(sys.argv[1]).split()]
bands = [pyvips.Image.new_from_memory(band.tobytes(), *size, 1, "float") for band in reduced]
exact = bands[0].bandjoin(bands[1:])
def luma(image):
    return image[0] * 0.299 + image[1] * 0.587 + image[2] * 0.114
def blur(image):
    return image.gaussblur(1.5, precision="float")
def ssim(x, y):
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (((mx * my * 2 + c1) * (cov * 2 + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))).avg()
coded = pyvips.Image.new_from_file(sys.argv[2])
again = exact.rint().cast("uchar").copy(interpretation="srgb").jpegsave_buffer(Q=80, interlace=True)
again = pyvips.Image.new_from_buffer(again, "")
print(json.dumps([ssim(luma(exact), luma(image)) for image in (large, coded, again)]))
"""
REPEATS = 3


class Bench:
    """One directory of pictures and the ways to process them, each returning CPU seconds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        _python(MAKE, directory)

    def ours(self, name: str) -> float:
        """A picture through the product's own call, from a warm start as in a worker."""
        report = json.loads(_python(OURS, self.directory / name, REPEATS))
        return float(report["cpu"])

    def peak(self, name: str) -> float:
        """Most resident MiB of the child that processes a picture."""
        report = json.loads(_python(OURS, self.directory / name, 1))
        return float(report["peak"]) / 1024

    def floor(self, name: str) -> float:
        """One djpeg, four cjpeg."""
        commands = [["djpeg", "-outfile", "/dev/null", name]]
        commands += [["cjpeg", "-quality", "80", "-progressive", "-outfile", "/dev/null", f"{r}.pnm"] for r in SIZES]
        before = _children_cpu()
        for command in commands:
            subprocess.run(command, check=True, cwd=self.directory)
        return _children_cpu() - before

    def pillow(self, opening: str, name: str) -> float:
        """The same set, every size from the file."""
        return float(json.loads(_python(PILLOW.replace("{open}", opening), self.directory / name, REPEATS))["cpu"])

    def pillow_peak(self, opening: str, name: str) -> float:
        """Most resident MiB of Pillow doing the same."""
        return float(json.loads(_python(PILLOW.replace("{open}", opening), self.directory / name, 1))["peak"]) / 1024

    def unpack(self, name: str) -> None:
        """The renditions of a picture, as files and as the raw pictures that cjpeg reads."""
        for rendition in child.render((self.directory / name).read_bytes()).renditions:
            (self.directory / f"{rendition.name}.jpg").write_bytes(rendition.data)
            target = f"{rendition.name}.pnm"
            subprocess.run(["djpeg", "-outfile", target, f"{rendition.name}.jpg"], check=True, cwd=self.directory)

    def likeness(self, name: str) -> tuple[float, float, float]:
        """SSIM against the reference: of `large` before coding, coded, and of the reference coded at its quality."""
        before, coded, limit = json.loads(_python(LIKENESS, self.directory / name, self.directory / "large.jpg"))
        return float(before), float(coded), float(limit)

    def start(self, modules: str) -> float:
        """What it takes to import these."""
        return float(_python(START.format(modules=modules)))

    def measures(self, name: str) -> float:
        """What is found out beside the renditions of a picture, which was unpacked last."""
        found = _python(MEASURES, self.directory / "preview.jpg", self.directory / name, 4 * REPEATS)
        return float(json.loads(found)["cpu"])


def _python(code: str, *arguments: object) -> str:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "layers/core")])
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def _children_cpu() -> float:
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def compare(bench: Bench, name: str, title: str, rounds: int) -> None:
    """Print one picture's table."""
    bench.unpack(name)
    cases: dict[str, Callable[[], float]] = {
        "ours": partial(bench.ours, name),
        "djpeg + 4 cjpeg": partial(bench.floor, name),
    }
    cases |= {peer: partial(bench.pillow, opening, name) for peer, opening in PEERS.items()}
    cases["measures"] = partial(bench.measures, name)
    seconds = {case: median(values) for case, values in interleaved(cases, rounds).items()}
    measures = seconds.pop("measures")
    seconds["ours"] -= measures
    peaks = {"ours": bench.peak(name)} | {peer: bench.pillow_peak(PEERS[peer], name) for peer in PEERS}
    print(f"\n{title}, {(bench.directory / name).stat().st_size / 1e6:.1f} MB")
    for case, value in seconds.items():
        memory = f"{peaks[case]:6.0f} MiB" if case in peaks else ""
        print(f"  {case:26} {value * 1000:7.0f} ms CPU {value / seconds['ours']:6.2f} x ours {memory}")
    print(f"  measures and clean file {measures * 1000:7.0f} ms CPU more, not in these")
    over = seconds["ours"] / seconds["djpeg + 4 cjpeg"]
    share = seconds["ours"] / seconds["Pillow, each size, draft"]
    print(f"  CPU over djpeg + 4 cjpeg: {over:.2f}, {verdict(over, most=1.8)}")
    print(f"  CPU over Pillow per size with draft: {share:.2f}, {verdict(share, most=0.4)}")
    print(f"  peak memory: {peaks['ours']:.0f} MiB, {verdict(peaks['ours'], most=120)}")


def main() -> None:
    """Print all figures."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, {rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="bench-pictures-") as directory:
        bench = Bench(Path(directory))
        compare(bench, "plain.jpg", "24 MP baseline, upright, no profile", rounds)
        compare(bench, "srgb.jpg", "24 MP baseline, upright, tagged sRGB", rounds)
        compare(bench, "p3.jpg", "24 MP baseline, turned by EXIF, tagged Display P3", rounds)
        large = bench.peak("96mp.jpg")
        print(f"\n96 MP progressive, {(bench.directory / '96mp.jpg').stat().st_size / 1e6:.1f} MB")
        print(f"  peak memory: {large:.0f} MiB, {verdict(large, most=420)}")
        bench.unpack("plain.jpg")
        before, coded, limit = bench.likeness("plain.jpg")
        print(f"\nSSIM of large before coding: {before:.4f}, {verdict(before, least=0.995)}")
        print(f"  as a JPEG: {coded:.4f}; of the exact reduction as a JPEG of the same quality: {limit:.4f}")
        print(f"  share of what the quality allows: {coded / limit:.4f}, {verdict(coded / limit, least=0.995)}")
        heic = median([bench.ours("plain.heic") for _ in range(rounds)])
        print(f"\n24 MP HEIC of 512 px tiles, {(bench.directory / 'plain.heic').stat().st_size / 1e6:.1f} MB")
        print(f"  {heic * 1000:.0f} ms CPU, peak {bench.peak('plain.heic'):.0f} MiB, measures included")
        tiny = median([bench.ours("thumb.jpg") for _ in range(rounds)])
        print(f"\na picture of 400 px: {tiny * 1000:.0f} ms CPU, process of its own included")
        starts = {"ours": "safelight.pictures.inside", "Pillow": "PIL.Image, PIL.ImageCms, PIL.JpegImagePlugin"}
        imports = interleaved({name: partial(bench.start, modules) for name, modules in starts.items()}, 3 * rounds)
        own, peer = (median(imports[name]) * 1000 for name in starts)
        print(
            f"\nimport of all that a child needs: {own:.0f} ms CPU, {verdict(own, most=100)}; of Pillow: {peer:.0f} ms"
        )
    print(f"load {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
