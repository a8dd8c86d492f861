"""What each role may do. A wildcard needs its line in REVIEWED, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.template import document

ENI = "EC2 has no narrower resource for what Lambda does to put a function into a subnet; denied to the function's code"

# (resource, Sid or index of the statement): why it may contain a wildcard.
REVIEWED = {
    ("NetworkPolicy", "0"): ENI,
    ("NetworkPolicy", "1"): "a Deny",
    (
        "EnvironmentKey",
        "AccountDecides",
    ): "in a key policy `*` is the key itself; the IAM policies of the account decide",
    ("BucketPolicy", "TlsOnly"): "a Deny for everyone who comes without TLS",
    (
        "S3Endpoint",
        "OwnBucketOnly",
    ): "an endpoint policy names no caller; it narrows the roles to one bucket",
}

# Roles may reach only these parts of the bucket. Whoever changes a line changes what a hole in that function can reach.
PREFIXES = {
    "AccountsRole": {},
    "GalleriesRole": {},
    "PhotosRole": {
        "incoming": {"Get", "Put"},
        "originals": {"Get"},
        "renditions": {"Get"},
        "jobs/process_photo": {"Put"},
    },
    "VisitsRole": {"originals": {"Get"}, "renditions": {"Get"}},
    "DownloadsRole": {
        "originals": {"Get"},
        "renditions": {"Get"},
        "archives": {"Get", "Put", "Abort"},
        "jobs/build_archive": {"Put"},
    },
    "OperationsRole": {"jobs/reprocess_gallery": {"Put"}},
    "AnalysesRole": {
        "analyses": {"Get", "Put"},
        "jobs/analyse_photo": {"Put"},
        "jobs/find_faces": {"Put"},
    },
    "AnalysePhotoRole": {
        "analyses": {"Get", "Put"},
        "originals": {"Get"},
        "jobs/analyse_photo": {"Put"},
        "jobs/find_faces": {"Put"},
    },
    "FindFacesRole": {"analyses": {"Get"}, "renditions": {"Get"}, "jobs/find_faces": {"Put"}},
    "ReprocessGalleryRole": {
        "originals": {"Get"},
        "renditions": {"Get", "Put"},
        "jobs/find_faces": {"Put"},
        "jobs/reprocess_gallery": {"Put"},
    },
    "ProcessPhotoRole": {
        "incoming": {"Get"},
        "originals": {"Get", "Put"},
        "renditions": {"Put"},
        "jobs/process_photo": {"Put"},
    },
    "BuildArchiveRole": {
        "originals": {"Get"},
        "renditions": {"Get"},
        "archives": {"Get", "Put", "Abort"},
        "jobs/build_archive": {"Put"},
    },
    "SweepRole": {
        "incoming": {"Get", "Delete"},
        "originals": {"Delete"},
        "renditions": {"Delete"},
        "archives": {"Get", "Delete", "Abort"},
        "analyses": {"Get", "Delete"},
        "jobs/process_photo": {"Put"},
        "jobs/build_archive": {"Put"},
        "jobs/analyse_photo": {"Put"},
        "jobs/find_faces": {"Put"},
        "jobs/reprocess_gallery": {"Put"},
    },
    "MigrateRole": {},
    "ProbePlatformRole": {},
}

VERBS = {
    "s3:GetObject": "Get",
    "s3:PutObject": "Put",
    "s3:DeleteObject": "Delete",
    "s3:AbortMultipartUpload": "Abort",
}
# These know no narrower resource than the bucket.
ON_THE_BUCKET = {"s3:ListBucket", "s3:ListBucketMultipartUploads"}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def policies(value: Any) -> Iterator[dict[str, Any]]:
    """Every policy document below a resource's properties."""
    if isinstance(value, dict):
        if {"Version", "Statement"} <= set(value):  # a rule of AWS WAF has a Statement as well
            yield value
        else:
            for inner in value.values():
                yield from policies(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from policies(inner)


def statements() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(resource, Sid or index, statement) for every statement of the template."""
    for name, resource in document.template()["Resources"].items():
        for policy in policies(resource.get("Properties", {})):
            for index, statement in enumerate(listed(policy["Statement"])):
                yield name, statement.get("Sid", str(index)), statement


def text(value: Any) -> str:
    """A resource, an action or a principal as one string, `!Sub` and `!GetAtt` included."""
    if isinstance(value, dict):
        if set(value) == {"Fn::Sub"}:
            return str(value["Fn::Sub"])
        if set(value) == {"Fn::GetAtt"}:
            return "${" + ".".join(value["Fn::GetAtt"]) + "}"
        return " ".join(text(inner) for inner in value.values())
    if isinstance(value, list):
        return " ".join(text(inner) for inner in value)
    return str(value)


def wildcards(statement: dict[str, Any]) -> Iterator[str]:
    """The parts of a statement that mean more than one thing. A prefix of the own bucket counts as one thing."""
    for action in listed(statement["Action"]):
        if "*" in action:
            yield action
    for resource in listed(statement.get("Resource", [])):
        written = text(resource)
        own = written.startswith("${Bucket.Arn}/") and written.endswith("/*") and "*" not in written[:-1]
        if "*" in written and not (own and len(written) > len("${Bucket.Arn}/*")):
            yield written
    if "*" in text(statement.get("Principal", "")):
        yield "everyone"


def test_no_unreviewed_wildcard() -> None:
    found = {(name, sid) for name, sid, statement in statements() if list(wildcards(statement))}
    assert found == set(REVIEWED)
    assert all(REVIEWED.values())


def test_the_walk_finds_a_wildcard() -> None:
    assert list(wildcards({"Action": "s3:*", "Resource": "x"})) == ["s3:*"]
    assert list(wildcards({"Action": "s3:GetObject", "Resource": {"Fn::Sub": "${Bucket.Arn}/*"}}))
    assert not list(wildcards({"Action": "s3:GetObject", "Resource": {"Fn::Sub": "${Bucket.Arn}/incoming/*"}}))


def test_every_statement_is_written_with_action_and_resource() -> None:
    for name, sid, statement in statements():
        assert not {"NotAction", "NotResource", "NotPrincipal"} & set(statement), f"{name} {sid}"


@pytest.mark.parametrize("function", sorted(document.functions()))
def test_a_function_has_a_role_of_its_own(function: str) -> None:
    """With Role given, SAM adds no managed policy of its own; those speak of `*`."""
    properties = document.functions()[function]
    expected = function.removesuffix("Function") + "Role"
    assert properties["Role"] == {"Fn::GetAtt": [expected, "Arn"]}
    assert "Policies" not in properties
    role = document.resources("AWS::IAM::Role")[expected]
    assert role["ManagedPolicyArns"] == [{"Ref": "NetworkPolicy"}]


@pytest.mark.parametrize("role", sorted(PREFIXES))
def test_a_role_reaches_only_its_own_prefixes(role: str) -> None:
    reached: dict[str, set[str]] = {}
    for name, _, statement in statements():
        if name != role:
            continue
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            if not action.startswith("s3:") or action in ON_THE_BUCKET:
                continue
            assert action in VERBS, action
            for resource in listed(statement["Resource"]):
                prefix = text(resource).removeprefix("${Bucket.Arn}/").removesuffix("/*")
                reached.setdefault(prefix, set()).add(VERBS[action])
    assert reached == PREFIXES[role]


def test_every_function_role_is_in_the_table() -> None:
    assert {name.removesuffix("Function") + "Role" for name in document.functions()} == set(PREFIXES)


def test_only_the_sweep_may_be_called_by_the_schedule() -> None:
    granted = [statement for name, _, statement in statements() if name == "TickRole" and "Principal" not in statement]
    assert granted == [
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": {"Fn::GetAtt": ["SweepFunction", "Arn"]}}
    ]
