"""A store with a mistake in its settings, which SeaweedFS does not report, is stopped before it serves."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from local import certificates, sealcheck, storesettings
from local.objectstore import ObjectStore
from local.process import StartError, free_ports


def without(section: str, line: str = "") -> Callable[[str], str]:
    """The settings without a section, or without the line of it that begins so."""

    def change(text: str) -> str:
        before, _, rest = text.partition(f"[{section}]\n")
        assert rest, f"no section {section}"
        own, bracket, after = rest.partition("\n[")
        if not line:
            return f"{before}[nothing.{section}]\n{rest}"
        kept = [each for each in own.splitlines() if not each.startswith(line)]
        assert len(kept) < len(own.splitlines())
        return f"{before}[{section}]\n" + "\n".join(kept) + bracket + after

    return change


# With each, the port that is open first.
MISTAKES: dict[str, tuple[Callable[[str], str], str]] = {
    "no [grpc.s3]": (without("grpc.s3"), "s3.port.grpc"),
    "no [grpc.volume]": (without("grpc.volume"), "volume.port.grpc"),
    "a key that is not there": (lambda text: text.replace("key.pem", "absent.pem", 1), "master.port.grpc"),
    "no authority for gRPC": (without("grpc", "ca"), "master.port.grpc"),
    "only [tls] min_version": (lambda text: text + '[tls]\nmin_version = "TLS 1.3"\n', "master.port.grpc"),
    "no [https.filer]": (without("https.filer"), "filer.port"),
    "no key for reading volumes": (without("jwt.signing.read"), "volume.port"),
    "no key for writing volumes": (without("jwt.signing"), "volume.port"),
    "[https.master] without the authority": (without("https.master", "ca"), "master.port"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_settings_is_refused(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, opened = MISTAKES[mistake]
    right = storesettings.settings
    monkeypatch.setattr(storesettings, "settings", lambda folder: change(right(folder)))
    store = ObjectStore(tmp_path, "KEY", "secret")
    with pytest.raises(StartError) as refused:
        store.start(seconds=20)
    assert store.pid is None
    assert not (tmp_path / "control.json").exists()
    assert str(store._ports[opened]) in str(refused.value), f"{opened} in {store._ports}: {refused.value}"


def test_a_port_that_nobody_named_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(storesettings.FLAGS, "debug", "true")
    (port,) = free_ports(1)
    monkeypatch.setitem(storesettings.FLAGS, "debug.port", str(port))
    with pytest.raises(StartError, match=str(port)):
        ObjectStore(tmp_path, "KEY", "secret").start(seconds=20)


def test_every_port_is_new_at_each_start_but_that_of_s3(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path, "KEY", "secret")
    starts = []
    for _ in range(2):
        with store:
            starts.append(
                (dict(store._ports), json.loads(store.control.read_text()), (tmp_path / "cert.pem").read_text())
            )
    (first, controls, certificate), (second, other_controls, other_certificate) = starts
    assert {name for name in first if first[name] == second[name]} == {"s3.port"}
    assert controls == {
        "master": f"https://127.0.0.1:{first['master.port']}",
        "volume": f"http://127.0.0.1:{first['volume.port']}",
        "shell": controls["shell"],
        "started": controls["started"],
    }
    assert controls["started"] != other_controls["started"]
    assert certificate != other_certificate
    assert len(list((tmp_path / "data").glob("m[0-9]*"))) == 1


def test_variables_of_whoever_starts_it_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEED_GRPC_S3_CERT", "/nowhere.pem")
    monkeypatch.setenv("WEED_HTTPS_CLIENT_ENABLED", "false")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "STRANGER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "known-to-others")
    with ObjectStore(tmp_path, "KEY", "secret") as store:
        store.access_key, store.secret_key = "STRANGER", "known-to-others"
        client = store.client()
        with pytest.raises(client.exceptions.ClientError, match="InvalidAccessKeyId"):
            client.list_buckets()


def test_with_the_certificate_the_master_answers(object_store: ObjectStore) -> None:
    port = object_store._ports["master.port"]
    assert sealcheck.is_sealed(port)
    context = certificates.client_context(object_store.directory)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    connection.request("GET", "/cluster/status")
    assert connection.getresponse().status == 200
    connection.close()
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY"),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")
