"""Signed URLs: ours and botocore's, the 2,000 of a gallery page with 1,000 photos.

`python -m bench.signing` takes about fifteen seconds. Both sign the same keys at the same moment, in turns within one
run, and must give the same strings; figures are medians of CPU time a URL (or form). With a session token, as in a
Lambda function, and without.
"""

import argparse
import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unittest import mock

from bench.measure import interleaved, median, verdict
from safelight.storage.client import make_client
from safelight.storage.signer import Credentials, Signer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PHOTOS = 1000
FORMS = 100  # a batch upload
REGION, BUCKET, LIFETIME = "eu-central-1", "photos-example", 900
MAX_BYTES = 15 * 1024 * 1024
TOKEN = "x" * 900  # about as long as those of a Lambda function
MOST_MICROSECONDS, LEAST_RATIO = 6, 40


def cpu(work: Callable[[], object], units: int) -> float:
    """Microseconds of CPU time a unit."""
    start = time.process_time()
    work()
    return (time.process_time() - start) / units * 1e6


def thumbnails_and_previews() -> list[str]:
    """The keys that a gallery page signs."""
    gallery = uuid.uuid4()
    photos = [uuid.uuid4() for _ in range(PHOTOS)]
    return [f"renditions/{gallery}/{photo}/{name}.jpg" for photo in photos for name in ("thumb", "preview")]


def ours(signer: Signer, keys: list[str], at: float) -> list[str]:
    """All of them, from the shared part on."""
    sign = signer.get_urls(LIFETIME, now=at)
    return [sign(key) for key in keys]


def theirs(client: "S3Client", keys: list[str]) -> list[str]:
    """All of them by botocore."""
    return [
        client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=LIFETIME)
        for key in keys
    ]


def our_forms(signer: Signer, keys: list[str], at: float) -> list[dict[str, str]]:
    """The fields of an upload form for each key."""
    return [
        signer.post(key, content_type="image/jpeg", max_bytes=MAX_BYTES, expires=600, now=at).fields for key in keys
    ]


def their_forms(client: "S3Client", keys: list[str]) -> list[dict[str, str]]:
    """The same by botocore."""
    fields = {"Content-Type": "image/jpeg", "success_action_status": "204"}
    conditions = [*({name: value} for name, value in fields.items()), ["content-length-range", 1, MAX_BYTES]]
    return [
        client.generate_presigned_post(BUCKET, key, Fields=fields, Conditions=conditions, ExpiresIn=600)["fields"]
        for key in keys
    ]


def compare(title: str, token: str | None, rounds: int) -> bool:
    """Print one comparison; whether the budget holds."""
    credentials = Credentials("ASIAEXAMPLEEXAMPLE00", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", token)
    signer, client = Signer(credentials, REGION, BUCKET), make_client(REGION, None, credentials)
    keys = thumbnails_and_previews()
    at = time.time()
    frozen = datetime.fromtimestamp(at, UTC)
    with (
        mock.patch("botocore.auth.get_current_datetime", return_value=frozen),
        mock.patch("botocore.signers.get_current_datetime", return_value=frozen),
    ):
        same = ours(signer, keys, at) == theirs(client, keys)
        same = same and our_forms(signer, keys[:FORMS], at) == their_forms(client, keys[:FORMS])
    if not same:
        raise SystemExit(f"{title}: the outputs differ, so there is nothing to compare")
    results = interleaved(
        {
            "ours": lambda: cpu(lambda: ours(signer, keys, at), len(keys)),
            "botocore": lambda: cpu(lambda: theirs(client, keys), len(keys)),
            "one": lambda: cpu(lambda: [signer.url("GET", key, LIFETIME) for key in keys], len(keys)),
            "our forms": lambda: cpu(lambda: our_forms(signer, keys[:FORMS], at), FORMS),
            "botocore forms": lambda: cpu(lambda: their_forms(client, keys[:FORMS]), FORMS),
        },
        rounds,
    )
    mine, peer, one, form, peer_form = (median(values) for values in results.values())
    print(f"\n{title}: {len(keys)} URLs, {FORMS} forms, identical to botocore's")
    print(f"  ours           {mine:8.2f} us a URL: {verdict(mine, most=MOST_MICROSECONDS)}")
    print(f"  botocore       {peer:8.2f} us a URL")
    print(f"  ratio          {peer / mine:8.1f} x: {verdict(peer / mine, least=LEAST_RATIO)}")
    print(f"  ours, singly   {one:8.2f} us a URL, {peer / one:.1f} x")
    print(f"  upload form    {form:8.2f} us, botocore {peer_form:.2f} us, {peer_form / form:.1f} x")
    return mine <= MOST_MICROSECONDS and peer / mine >= LEAST_RATIO


def main() -> None:
    """Print all figures; exit with 1 when a budget is missed."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, {rounds} rounds")
    held = [compare("session token", TOKEN, rounds), compare("no session token", None, rounds)]
    raise SystemExit(not all(held))


if __name__ == "__main__":
    main()
