"""What the signer is compared over: names that have broken signers before, and generated ones."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from safelight.storage.signer import Credentials

BUCKET = "photos-example"
BUCKETS = [BUCKET, "bucket.with.dots", "abc"]
NOW = datetime(2026, 11, 20, 22, 59, 59, tzinfo=UTC).timestamp()

KEYS = [
    "incoming/0b54b9c2-5bd4-4f2c-8c1f-9c3b2f0f2c11",
    "renditions/a/b/thumb.jpg",
    "with space/and+plus.jpg",
    "percent%20already/100%.jpg",
    "tilde~dash-dot.under_score",
    "!*'();:@&=+$,?#[]",
    '"quotes"\\backslash|pipe<>^`{}',
    "a//b/../c/./d",
    "/leading",
    "trailing/",
    ".",
    "..",
    "tab\tnew\nline\x00nul\x7f",
    "Фото/снимок № 5.jpg",
    "写真/花見.jpg",
    "emoji/📷🏳️‍🌈.heic",
    "é/é",
    "x" * 1024,
]
REGIONS = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-2",
    "ap-southeast-7",
    "me-south-1",
    "cn-north-1",
    "cn-northwest-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "us-isof-south-1",
    "eu-isoe-west-1",
    "eusc-de-east-1",
]
ENDPOINTS = [
    None,
    "http://127.0.0.1:8333",
    "http://127.0.0.1:80",
    "https://store.example",
    "https://store.example:443",
    "https://store.example:9000/",
    "https://Store.Example/under/a/path/",
    "http://[::1]:9000",
]
CREDENTIALS = [
    Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    Credentials("ASIAEXAMPLE", "s", "FwoGZXIvYXdzE//token+with/every=kind=="),
]
DISPOSITIONS = [None, "attachment", "attachment; filename=\"a b.jpg\"; filename*=UTF-8''%C3%A9.jpg"]
TYPES = [None, "image/jpeg", 'text/plain; charset="utf-8"']

# S3 keys are 1 to 1,024 bytes of UTF-8; a lone surrogate is not text and cannot be sent at all.
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
keys = st.one_of(st.sampled_from(KEYS), text, st.lists(text, min_size=1, max_size=4).map("/".join))
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF), min_size=1, max_size=40)
header_values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)
secrets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=80)
credentials = st.builds(
    Credentials,
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=1, max_size=20),
    secrets,
    st.one_of(st.none(), secrets),
)
moments = st.integers(min_value=1_000_000_000, max_value=4_000_000_000).map(float)
lifetimes = st.integers(min_value=1, max_value=7 * 24 * 3600)
