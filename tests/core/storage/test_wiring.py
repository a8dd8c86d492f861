"""The storage of this process, from its settings."""

from collections.abc import Iterator

import httpx
import pytest

from local.objectstore import ObjectStore
from safelight import storage
from tests import product


@pytest.fixture
def variables(object_store: ObjectStore, storage_bucket: str) -> dict[str, str]:
    return product.environment("postgresql://u:p@127.0.0.1:1/unused", storage_bucket, object_store)


@pytest.fixture
def configured(variables: dict[str, str]) -> Iterator[None]:
    with product.configured(variables):
        yield


@pytest.mark.usefixtures("configured")
def test_all_parts_speak_to_the_same_bucket(key: str) -> None:
    storage.storage().write(key, b"picture", "image/jpeg")
    info = storage.light_store().head(key)
    assert info == storage.storage().head(key)
    for signer in (storage.signer(), storage.internal_signer()):
        assert httpx.get(signer.url("GET", key, 60)).content == b"picture"


@pytest.mark.usefixtures("configured")
def test_they_are_made_once() -> None:
    for make in (storage.storage, storage.light_store, storage.signer, storage.internal_signer):
        assert make() is make()


def test_browsers_get_the_public_endpoint(variables: dict[str, str], key: str) -> None:
    with product.configured(variables | {"S3_PUBLIC_ENDPOINT": "https://photos.example"}):
        assert storage.signer().url("GET", key, 60).startswith(f"https://photos.example/{variables['BUCKET']}/{key}?")
        assert storage.internal_signer().url("GET", key, 60).startswith(variables["S3_ENDPOINT"])


def test_on_aws_the_bucket_is_a_host_of_its_region(variables: dict[str, str]) -> None:
    del variables["S3_ENDPOINT"], variables["S3_SOCKET"]
    aws = variables | {"AWS_REGION": "eu-central-1", "BUCKET": "photos", "AWS_SESSION_TOKEN": "token"}
    with product.configured(aws):
        url = storage.signer().url("GET", "k", 60)
        assert url.startswith("https://photos.s3.eu-central-1.amazonaws.com/k?")
        assert "&X-Amz-Security-Token=token&" in url
        client = storage.storage()._client
        theirs = client.generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": "k"})
        assert theirs.startswith("https://photos.s3.eu-central-1.amazonaws.com/k?")


def test_an_endpoint_variable_of_another_tool_is_not_heeded(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del variables["S3_ENDPOINT"], variables["S3_SOCKET"]
    with product.configured(variables):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        assert storage.storage()._client.meta.endpoint_url == "https://s3.us-east-1.amazonaws.com"


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_missing_credentials_are_named(variables: dict[str, str], missing: str) -> None:
    del variables[missing]
    with product.configured(variables), pytest.raises(RuntimeError, match="AWS_SECRET_ACCESS_KEY"):
        storage.signer()
