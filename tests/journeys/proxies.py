"""nginx and Caddy with the files of docs/proxies, in front of a running stack, as child processes on 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from local.process import free_ports
from tests.core.archives.readers import installed

ROOT = Path(__file__).resolve().parents[2]
SITE, STORE = "photos.example", "photos-store.example"
PATIENCE = 60

NGINX = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
CADDY = """
{{
    admin off
    http_port {plain}
    https_port {port}
    default_bind 127.0.0.1
    local_certs
    skip_install_trust
    storage file_system {folder}/certificates
}}
import {folder}/site.conf
"""


def _documented(name: str, replaced: dict[str, str]) -> str:
    """The file of the documentation for this machine; only what stands in `replaced` is another."""
    text = (ROOT / "docs" / "proxies" / name).read_text()
    for old, new in replaced.items():
        assert old in text, f"docs/proxies/{name} has no {old}"
        text = text.replace(old, new)
    return text


def _nginx(folder: Path, port: int, upstreams: dict[str, str]) -> list[str]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [installed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", f"/CN={SITE}", "-addext", f"subjectAltName=DNS:{SITE},DNS:{STORE}", "-days", "2",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    site = {
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "/etc/ssl/certs/photos.pem": str(certificate),
        "/etc/ssl/private/photos.key": str(key),
    }
    (folder / "site.conf").write_text(_documented("nginx.conf", site | upstreams))
    user = pwd.getpwuid(os.geteuid()).pw_name  # its workers would be another user's, who may not enter the folder
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user=user))
    return [installed("nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]


def _caddy(folder: Path, port: int, upstreams: dict[str, str]) -> list[str]:
    (folder / "site.conf").write_text(_documented("Caddyfile", upstreams))
    (plain,) = free_ports(1)
    (folder / "Caddyfile").write_text(CADDY.format(folder=folder, port=port, plain=plain))
    return [installed("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@contextlib.contextmanager
def proxy(kind: str, folder: Path, port: int, product: int, store: int) -> Iterator[None]:
    """nginx or Caddy on `port`, in front of the product's and the store's port; ended afterwards."""
    folder.mkdir()
    upstreams = {"127.0.0.1:8000": f"127.0.0.1:{product}", "127.0.0.1:8333": f"127.0.0.1:{store}"}
    command = {"nginx": _nginx, "caddy": _caddy}[kind](folder, port, upstreams)
    homes = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | homes, stdout=output, stderr=output)
    try:
        _await_tls(process, port, log)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _await_tls(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until it speaks TLS for both names: Caddy makes its certificates after it has begun to listen."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    end = time.monotonic() + PATIENCE
    for name in (SITE, STORE):
        while True:
            try:
                with (
                    socket.create_connection(("127.0.0.1", port), 5) as line,
                    context.wrap_socket(line, server_hostname=name),
                ):
                    break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
