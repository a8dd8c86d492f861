"""The light store over TLS, as on AWS: a trusted certificate is used, another one refused."""

import ipaddress
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from safelight.errors import StorageUnavailable
from safelight.storage import light as module
from safelight.storage.light import LightStore
from safelight.storage.signer import Credentials, Signer
from tests.core.storage.faulty import Faulty, faulty


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[Faulty]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with faulty(context) as server:
        yield server


@pytest.fixture
def light(server: Faulty) -> Iterator[LightStore]:
    store = LightStore(Signer(Credentials("key", "secret"), "us-east-1", "bucket", server.endpoint))
    module._tls.cache_clear()
    yield store
    store.close()
    module._tls.cache_clear()


def test_a_trusted_certificate(
    light: LightStore, server: Faulty, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    light.write("k", b"picture", "image/jpeg")
    assert light.head("k") is not None
    assert [command for command, _, _ in server.requests] == ["PUT", "HEAD"]
    assert len(light._idle) == 1


def test_an_unknown_certificate_gets_nothing(light: LightStore, server: Faulty) -> None:
    with pytest.raises(StorageUnavailable) as unavailable:
        light.write("k", b"picture", "image/jpeg")
    assert isinstance(unavailable.value.__cause__, ssl.SSLCertVerificationError)
    assert not server.requests
