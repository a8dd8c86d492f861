"""The object store's settings, under which each of its ports demands a certificate, a token or a signature.

SeaweedFS reads `security.toml` from its working directory. A section that is missing or wrong leaves its port open
without a message, so `local.sealcheck` asks every port after each start.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from local import certificates, private

FLAGS = {
    "ip": "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "filer": "true",
    "s3": "true",
    "s3.iam": "false",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "master.telemetry": "false",
    # a lone master elects itself; with the default of 10 s a second start takes 14 s, with this 3 s
    "master.electionTimeout": "1s",
    "master.heartbeatInterval": "100ms",
    # 1 GiB volumes and room for any number: the default derives the number from the free disk in
    # units of 30 GB, and every bucket needs volumes of its own
    "master.volumeSizeLimitMB": "1024",
    "volume.max": "100000",
    "volume.minFreeSpace": "100MiB",
    "volume.preStopSeconds": "0",
    # alone by declaration: it elects itself at once and waits for nobody
    "master.peers": "none",
    # S3 reaches the filer by gRPC
    "filer.disableHttp": "true",
    "s3.autoCreateBucket": "false",
    # relative to the working directory: the path of a socket has 107 bytes at most
    "filer.localSocket": "filer.sock",
}

_ENVIRONMENT = {
    # with 400 MiB eight parts at once cost it 40 % more CPU, all for collecting garbage; its peak is nearly the same
    "GOMEMLIMIT": "800MiB",
    # one volume for a new bucket where the default makes seven at once
    "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
}

_GRPC_PARTS = ("master", "volume", "filer", "s3")
_HTTPS_PARTS = ("master", "filer")
_TOKENS = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
# WEED_… overrides what security.toml says; a key pair in AWS_… becomes one more S3 identity.
_IGNORED_VARIABLES = ("WEED_", "AWS_")


def prepare(folder: Path) -> None:
    """Close `folder` to other users and write the certificates and `security.toml` of one start into it."""
    private.make_folder(folder)
    certificates.make(folder)
    private.write(folder / "security.toml", settings(folder))


def settings(folder: Path) -> str:
    """The text of `security.toml`: mutual TLS on every gRPC port and on the HTTP ports of master and filer.

    The volume server's HTTP demands a token for each read and write. S3 reads the photos there, and TLS would make an
    archive a quarter slower (docs/decisions/0010).
    """
    paths = {name: json.dumps(str(folder / f"{name}.pem"), ensure_ascii=False) for name in ("ca", "cert", "key")}
    authority = f"ca = {paths['ca']}"
    leaf = f"cert = {paths['cert']}\nkey = {paths['key']}"
    sections = {name: f'key = "{secrets.token_hex(32)}"\nexpires_after_seconds = 60' for name in _TOKENS}
    sections |= {"access": "ui = false", "filer.expose_directory_metadata": "enabled = false", "grpc": authority}
    sections |= {f"grpc.{part}": f'{leaf}\nallowed_commonNames = "{certificates.COMMON_NAME}"' for part in _GRPC_PARTS}
    sections["grpc.client"] = leaf
    # `ca` is what makes a port ask for the client's certificate
    sections |= {f"https.{part}": f"{leaf}\n{authority}" for part in _HTTPS_PARTS}
    return "\n".join(f"[{name}]\n{lines}" for name, lines in sections.items()) + "\n"


def environment(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables of the program: `given` without those that would change its settings."""
    kept = {name: value for name, value in given.items() if not name.startswith(_IGNORED_VARIABLES)}
    # HOME is searched for a security.toml, as the working directory is: only ours counts
    return {**kept, **_ENVIRONMENT, "HOME": str(folder)}
