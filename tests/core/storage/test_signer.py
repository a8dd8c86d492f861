"""What the signer promises besides being right: refusals, quantised time, secrets kept, a light import."""

import base64
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from safelight.storage.signer import Credentials, Signer, crc32_field
from tests.core.storage.corpus import BUCKET, NOW

CREDENTIALS = Credentials("AKIDEXAMPLE", "a-very-secret-key", "a-session-token")


@pytest.fixture
def signer() -> Signer:
    return Signer(CREDENTIALS, "eu-west-1", BUCKET)


def signed_at(url: str) -> str:
    return parse_qs(urlsplit(url).query)["X-Amz-Date"][0]


def test_the_published_example() -> None:
    """AWS's own worked example, so that not only botocore vouches for us.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html.
    """
    example = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    signer = Signer(example, "us-east-1", "examplebucket")
    # The example's host is the global one, which the signer never uses.
    signer.address = signer.address._replace(host="examplebucket.s3.amazonaws.com")
    at = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
    signature = parse_qs(urlsplit(signer.url("GET", "test.txt", 86400, now=at)).query)["X-Amz-Signature"]
    assert signature == ["aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"]


def test_quantised_time_changes_only_at_its_steps(signer: Signer) -> None:
    start = NOW - NOW % 300
    first = signer.get_urls(900, quantum=300, now=start)("k")
    assert first == signer.get_urls(900, quantum=300, now=start + 299.999)("k")
    assert first != signer.get_urls(900, quantum=300, now=start + 300)("k")
    assert signed_at(first) == datetime.fromtimestamp(start, UTC).strftime("%Y%m%dT%H%M%SZ")


def test_time_is_the_present_unless_given(signer: Signer) -> None:
    before = datetime.fromtimestamp(int(time.time()), UTC)
    stamps = [
        signed_at(signer.url("GET", "k", 60)),
        signer.headers("GET", "k")["x-amz-date"],
        signer.post("k", content_type="image/jpeg", max_bytes=1, expires=60).fields["x-amz-date"],
    ]
    after = datetime.now(UTC)
    for stamp in stamps:
        assert before <= datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) <= after


def test_midnight_changes_the_day_of_the_key(signer: Signer) -> None:
    midnight = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    before, after = (signer.url("GET", "k", 60, now=midnight + step) for step in (-1, 0))
    assert "%2F20251231%2F" in before
    assert "%2F20260101%2F" in after


@pytest.mark.parametrize("expires", [0, -1, 7 * 24 * 3600 + 1])
def test_times_that_s3_refuses_are_refused_here(signer: Signer, expires: int) -> None:
    with pytest.raises(ValueError, match="expires"):
        signer.get_urls(expires)
    with pytest.raises(ValueError, match="expires"):
        signer.url("GET", "k", expires)
    with pytest.raises(ValueError, match="expires"):
        signer.post("k", content_type="image/jpeg", max_bytes=1, expires=expires)


@pytest.mark.parametrize("quantum", [0, -5, 61])
def test_a_quantum_must_fit_the_lifetime(signer: Signer, quantum: int) -> None:
    with pytest.raises(ValueError, match="quantum"):
        signer.get_urls(60, quantum=quantum)


@pytest.mark.parametrize("method", ["DELETE", "POST", "get", ""])
def test_only_reading_and_putting_are_signed_as_urls(signer: Signer, method: str) -> None:
    with pytest.raises(ValueError, match="cannot sign"):
        signer.url(method, "k", 60)


def test_a_put_has_no_disposition(signer: Signer) -> None:
    with pytest.raises(ValueError, match="no response headers"):
        signer.url("PUT", "k", 60, disposition="attachment")


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "incoming/${filename}"},
        {"max_bytes": 0},
        {"status": 200},
        {"crc32": "not base64"},
        {"crc32": "AAAA"},
        {"crc32": "AAAAAAA="},
        {"crc32": "AAAAAB=="},
        {"crc32": ""},
    ],
)
def test_forms_that_would_not_mean_what_they_say(signer: Signer, changes: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"key": "incoming/a", "content_type": "image/jpeg", "max_bytes": 1, "expires": 60}
    signer.post(**usual)
    with pytest.raises(ValueError, match=r"key|max_bytes|status|crc32"):
        signer.post(**usual | changes)


def test_a_form_is_as_strict_as_a_policy_can_be(signer: Signer) -> None:
    form = signer.post(
        "incoming/a", content_type="image/jpeg", max_bytes=15_728_640, expires=600, crc32=crc32_field(7), now=NOW
    )
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    assert ["content-length-range", 1, 15_728_640] in policy["conditions"]
    exact = {
        name: value
        for condition in policy["conditions"]
        if isinstance(condition, dict)
        for name, value in condition.items()
    }
    assert exact == {"bucket": BUCKET} | {
        name: value for name, value in form.fields.items() if name not in ("policy", "x-amz-signature")
    }
    assert policy["expiration"] == form.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert next(iter(form.fields)) == "key"
    assert form.url == "https://photos-example.s3.eu-west-1.amazonaws.com/"


@pytest.mark.parametrize(("value", "field"), [(0, "AAAAAA=="), (1, "AAAAAQ=="), (0xDEADBEEF, "3q2+7w==")])
def test_a_checksum_as_s3_writes_it(value: int, field: str) -> None:
    assert crc32_field(value) == field


@pytest.mark.parametrize("bucket", ["", "a/b", "a b", "a?b", "bücket"])
def test_what_is_no_bucket(bucket: str) -> None:
    with pytest.raises(ValueError, match="bucket"):
        Signer(CREDENTIALS, "eu-west-1", bucket)


@pytest.mark.parametrize("region", ["", "EU", "eu-west-1.evil.example/", "eu west"])
def test_what_is_no_region(region: str) -> None:
    with pytest.raises(ValueError, match="region"):
        Signer(CREDENTIALS, region, BUCKET)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "127.0.0.1:8333",
        "ftp://store",
        "http://",
        "http://s/?q",
        "http://s/#f",
        "http://user:secret@s/",
        "http://s/a b",
    ],
)
def test_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint") as refused:
        Signer(CREDENTIALS, "eu-west-1", BUCKET, endpoint)
    assert "secret" not in str(refused.value)


def test_a_header_cannot_carry_a_second_one(signer: Signer) -> None:
    headers = signer.headers("PUT", "k", extra={"Content-Type": "image/jpeg\r\nx-amz-acl: public-read"})
    assert "x-amz-acl" not in headers
    assert not any("\n" in value or "\r" in value for value in headers.values())


def test_secrets_do_not_show() -> None:
    signer = Signer(CREDENTIALS, "eu-west-1", BUCKET)
    shown = f"{CREDENTIALS} {CREDENTIALS!r} {signer!r} {vars(signer)}"
    assert "a-very-secret-key" not in shown
    assert "a-session-token" not in shown


def test_signing_and_the_light_store_need_no_botocore() -> None:
    program = """
import sys
import safelight.storage
from safelight.storage.light import LightStore
from safelight.storage.signer import Credentials, Signer
signer = Signer(Credentials("a", "b"), "eu-west-1", "bucket")
LightStore(signer)
signer.get_urls(60)("k"), signer.post("k", content_type="image/jpeg", max_bytes=1, expires=60)
print(sorted(name for name in sys.modules if name.split(".")[0] in ("boto3", "botocore", "urllib3", "requests")))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={"PYTHONPATH": "layers/core"}
    )
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
