"""The pictures that Pillow and pillow-heif publish with their sources, through the process wall: `make corpus`.

Not a part of `make test`, which needs no network: the two source packages have 64 MB, and pip prepares them as if it
would build them. They are those of requirements/dev.txt, checked against its hashes, and removed when all is done.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from safelight.config import MAX_PHOTO_BYTES
from safelight.pictures.facts import inspect
from safelight.pictures.strip import CannotStrip, strip
from safelight.pictures.types import Rendered
from tests.core.pictures.corpus import outcome, process
from tests.core.pictures.hostile import Upload

REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements" / "dev.txt"
PACKAGES = ("pillow", "pillow-heif")
OTHER = "the clean file looks otherwise"
# What lies among the pictures and is none.
NOT_PICTURES = {".py", ".txt", ".md", ".rst", ".sh", ".c", ".h", ".ttf", ".otf", ".json", ".toml", ".yml", ".cfg"}


def download(folder: Path) -> Iterator[Path]:
    """The source packages, by pip and its settings."""
    pinned = REQUIREMENTS.read_text()
    for name in PACKAGES:
        block = re.search(rf"^{name}==.*(?:\n    --hash=.*)+", pinned, re.MULTILINE)
        if block is None:
            raise SystemExit(f"{name} is not in {REQUIREMENTS}")
        wanted = folder / f"{name}.in"
        wanted.write_text(block[0] + "\n")
        options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--require-hashes", "--dest", str(folder)]
        command = [sys.executable, "-m", "pip", "download", *options, "--requirement", str(wanted)]
        subprocess.run(command, check=True, cwd=folder)
    yield from sorted(folder.glob("*.tar.gz"))


def pictures(package: Path) -> Iterator[Upload]:
    """Every file of the package's tests that a photographer could take for a picture, and that may be uploaded."""
    with tarfile.open(package) as archive:
        for member in archive:
            tests = re.search(r"/tests?/", member.name, re.IGNORECASE)
            if member.isfile() and tests and Path(member.name).suffix.lower() not in NOT_PICTURES:
                file = archive.extractfile(member)
                if file and member.size <= MAX_PHOTO_BYTES:
                    yield Upload(member.name, file.read())


def clean_file(upload: Upload) -> str:
    """Empty where the clean file of a picture looks the same, or none is asked for; otherwise what is wrong with it."""
    before = outcome(upload)
    if isinstance(before, str):
        return ""
    try:
        clean = strip(upload.data, inspect(upload.data).format).applied(upload.data)
    except CannotStrip as error:
        return f"no clean file: {error}"
    after = outcome(upload._replace(data=clean))
    return "" if isinstance(after, Rendered) and after.renditions == before.renditions else OTHER


def main() -> None:
    """Print how all of them ended; fail where one ended otherwise than as a photo or with a reason."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        packages = list(download(Path(folder)))
        uploads = (upload for package in packages for upload in pictures(package))
        cleaning = {upload.name: told for upload in uploads if (told := clean_file(upload))}
        endings = process(upload for package in packages for upload in pictures(package))
    reasons = Counter(re.sub(r"\d[\d,]*", "N", reason) for reason in endings.reasons)
    print(f"{endings.ready + reasons.total()} files, {endings.ready} became photos")
    print(f"longest {endings.longest[0]:.1f} s ({endings.longest[1]}), peak of memory {endings.peak / 1024**2:.0f} MiB")
    for reason, count in reasons.most_common():
        print(f"{count:5} {reason}")
    print(f"{endings.ready - len(cleaning)} of the photos have a clean file that looks the same; the others:")
    for name, told in cleaning.items():
        print(f"{name}: {told}")
    wrong = endings.wrong + [name for name, told in cleaning.items() if told == OTHER]
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
