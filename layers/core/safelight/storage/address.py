"""Where a bucket is: virtual-hosted on AWS, by path on every other store."""

import re
from typing import NamedTuple, Self
from urllib.parse import quote, urlsplit

_PLAIN = re.compile(r"[A-Za-z0-9/_.~-]*", re.ASCII).fullmatch
_BUCKET = re.compile(r"[A-Za-z0-9._-]+", re.ASCII).fullmatch
_VIRTUAL_HOSTABLE = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.ASCII).fullmatch
_REGION = re.compile(r"[a-z0-9-]+", re.ASCII).fullmatch

# The DNS suffix of each AWS partition, by the region's first letters (botocore's endpoints, `partitions[].dnsSuffix`).
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "eusc-": "amazonaws.eu",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


def quote_key(key: str) -> str:
    """The key as it stands in a URL and in a canonical request: S3's own encoding, slashes kept.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html ("UriEncode").
    """
    return key if _PLAIN(key) else quote(key, safe="/~")


class Address(NamedTuple):
    """`{origin}{base}/{key}` is an object's URL; `host` is the Host header a client sends there."""

    origin: str
    host: str
    base: str

    @classmethod
    def of(cls, bucket: str, region: str, endpoint: str | None = None) -> Self:
        """AWS without `endpoint`, in every region by its own host; else by path under `endpoint`. Raises ValueError.

        A bucket with dots would not match AWS's certificate as a host name, so it is addressed by path there too.
        """
        if not _BUCKET(bucket):
            raise ValueError(f"not a bucket name: {bucket!r}")
        if endpoint is not None:
            return cls._by_path(bucket, endpoint)
        if not _REGION(region):
            raise ValueError(f"not a region: {region!r}")
        suffix = next((suffix for start, suffix in _SUFFIXES.items() if region.startswith(start)), "amazonaws.com")
        service = f"s3.{region}.{suffix}"
        if not _VIRTUAL_HOSTABLE(bucket):
            return cls(f"https://{service}", service, f"/{bucket}")
        host = f"{bucket}.{service}"
        return cls(f"https://{host}", host, "")

    @classmethod
    def _by_path(cls, bucket: str, endpoint: str) -> Self:
        parts = urlsplit(endpoint)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not _PLAIN(parts.path):
            raise ValueError(f"not an http(s) endpoint: {endpoint!r}")
        if parts.query or parts.fragment or parts.username:
            raise ValueError(f"an endpoint has no query, fragment or user: {parts.hostname!r}")
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        # HTTP clients leave the scheme's default port out of the Host header, so the signature must too.
        host = name if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{name}:{parts.port}"
        return cls(f"{parts.scheme}://{parts.netloc}", host, f"{parts.path.rstrip('/')}/{bucket}")

    def path(self, key: str) -> str:
        """The request target of an object, percent-encoded."""
        return f"{self.base}/{quote_key(key)}"
