"""Which function holds which secret, and what opens its environment."""

from __future__ import annotations

import json
import re
from typing import Any

import grimp
import pytest

from safelight.roles.privileges import DATA, DOWNLOADS, PICTURES, SHARES, VISITS
from tests.template import document
from tests.template.test_privileges import listed, statements

# A line here says what somebody learns who takes over that function.
SECRETS = {
    "AccountsFunction": {"DataSecret", "TokenSecret"},
    "GalleriesFunction": {"DataSecret", "TokenSecret"},
    "PhotosFunction": {"DataSecret", "TokenSecret"},
    "AnalysesFunction": {"DataSecret", "TokenSecret"},
    "VisitsFunction": {"VisitsSecret", "TokenSecret"},
    "DownloadsFunction": {"DownloadsSecret", "TokenSecret"},
    "OperationsFunction": {"DataSecret", "TokenSecret"},
    "ProcessPhotoFunction": {"PicturesSecret"},
    "AnalysePhotoFunction": {"PicturesSecret"},
    "ReprocessGalleryFunction": {"PicturesSecret"},
    "FindFacesFunction": {"PicturesSecret"},
    "BuildArchiveFunction": {"DataSecret"},
    "SweepFunction": {"DataSecret"},
    "MigrateFunction": {"DatabaseSecret", "DataSecret", "VisitsSecret", "DownloadsSecret", "PicturesSecret"},
    "ProbePlatformFunction": set(),
}
SECRET_OF = {DATA: "DataSecret", VISITS: "VisitsSecret", DOWNLOADS: "DownloadsSecret", PICTURES: "PicturesSecret"}
REFERENCE = re.compile(r"\{\{resolve:secretsmanager:\$\{(\w+)\}:SecretString:\w+\}\}")
MOST_REFERENCES = 60
"""In one template: docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html."""
MOST_ENVIRONMENT = 4096
"""Bytes: docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""


def variables(function: str) -> dict[str, Any]:
    found: dict[str, Any] = document.functions()[function]["Environment"]["Variables"]
    return found


def references(value: Any) -> list[str]:
    return REFERENCE.findall(json.dumps(value))


@pytest.mark.parametrize("function", sorted(document.functions()))
def test_a_function_holds_only_its_own_secrets(function: str) -> None:
    assert set(references(variables(function))) == SECRETS[function]


def test_all_functions_together_hold_none() -> None:
    assert references(document.template()["Globals"]) == []
    assert set(SECRETS) == set(document.functions())


def test_each_function_connects_as_the_role_whose_password_it_holds() -> None:
    for function in set(document.functions()) - {"MigrateFunction", "ProbePlatformFunction"}:
        url = variables(function)["DATABASE_URL"]["Fn::Sub"]
        role = re.match(r"postgresql://(\w+):", url)
        assert role is not None
        assert references(url) == [SECRET_OF[role[1]]]
        assert url.endswith("/safelight?sslmode=require"), "Aurora refuses who comes without TLS"


def test_the_migration_gives_every_role_its_password() -> None:
    given = json.loads(variables("MigrateFunction")["DATABASE_PASSWORDS"]["Fn::Sub"])
    assert {role: references(password) for role, password in given.items()} == {
        role: [SECRET_OF[role]] for role in SHARES
    }
    owner = variables("MigrateFunction")["DATABASE_URL"]["Fn::Sub"]
    database = document.resources("AWS::RDS::DBCluster")["Database"]
    assert owner.startswith(f"postgresql://{database['MasterUsername']}:")
    assert references(owner) == references(database["MasterUserPassword"]) == ["DatabaseSecret"]
    others = {name for name, held in SECRETS.items() if "DatabaseSecret" in held}
    assert others == {"MigrateFunction"}


def test_tokens_are_signed_only_where_the_code_does_it() -> None:
    """By the graph of imports, lazy ones included: who reaches no module that asks for the key gets none."""
    graph = grimp.build_graph("safelight", "functions", cache_dir=None)
    core = document.ROOT / "layers" / "core"
    asking = {
        module
        for module in graph.modules
        for path in [(document.ROOT if module.startswith("functions") else core) / (module.replace(".", "/") + ".py")]
        if path.is_file() and re.search(r"\.token_secret\b|\.jwt_secret\b", path.read_text())
    } - {"safelight.config"}
    assert len(asking) >= 3
    for function, properties in document.functions().items():
        entry = f"functions.{document.folder(properties)}.app"
        reached = {entry} | graph.find_upstream_modules(entry)
        assert ("JWT_SECRET" in variables(function)) == bool(reached & asking), function


def test_secrets_are_long_and_plain() -> None:
    secrets = document.resources("AWS::SecretsManager::Secret")
    assert set(secrets) == set().union(*SECRETS.values())
    for secret in secrets.values():
        # The password stands in a URL and in JSON, where punctuation would mean something.
        assert secret["GenerateSecretString"]["ExcludePunctuation"] is True
        assert secret["GenerateSecretString"]["PasswordLength"] >= 40


def test_references_and_environments_stay_below_the_limits() -> None:
    counted = sum(len(references(variables(function))) for function in document.functions())
    assert counted + len(references(document.resources("AWS::RDS::DBCluster"))) <= MOST_REFERENCES
    for function in document.functions():
        written = {name: REFERENCE.sub("x" * 64, json.dumps(value)) for name, value in variables(function).items()}
        assert sum(len(name) + len(value) for name, value in written.items()) < MOST_ENVIRONMENT / 2, function


def test_a_deploy_reads_replaced_secrets_again() -> None:
    """CloudFormation resolves a reference again only when another property of its resource changes."""
    assert document.template()["Globals"]["Function"]["Description"] == {
        "Fn::Sub": "Secrets of revision ${SecretsRevision}"
    }
    assert not any("Description" in own for own in document.resources("AWS::Serverless::Function").values())
    tags = document.resources("AWS::RDS::DBCluster")["Database"]["Tags"]
    assert {"Ref": "SecretsRevision"} in [tag["Value"] for tag in tags]


def test_one_key_encrypts_every_environment_and_a_role_opens_only_its_functions() -> None:
    functions = document.functions()
    assert {json.dumps(function["KmsKeyArn"]) for function in functions.values()} == {
        json.dumps({"Fn::GetAtt": ["EnvironmentKey", "Arn"]})
    }
    found = {}
    for resource, _, statement in statements():
        actions = [action for action in listed(statement["Action"]) if action.startswith("kms:")]
        if not actions or resource == "EnvironmentKey":
            continue
        assert actions == ["kms:Decrypt"]
        assert statement["Resource"] == {"Fn::GetAtt": ["EnvironmentKey", "Arn"]}
        [[operator, condition]] = statement["Condition"].items()
        assert operator == "StringEquals"
        [[key, arn]] = condition.items()
        assert key == "kms:EncryptionContext:aws:lambda:FunctionArn"
        assert resource not in found
        found[resource] = arn["Fn::Sub"].rpartition(":function:")[2]
    assert found == {
        name.removesuffix("Function") + "Role": function["FunctionName"]["Fn::Sub"]
        for name, function in functions.items()
    }


def test_the_key_leaves_the_decision_to_the_account() -> None:
    key = document.resources("AWS::KMS::Key")["EnvironmentKey"]
    assert key["EnableKeyRotation"] is True
    [statement] = key["KeyPolicy"]["Statement"]
    assert statement["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}


def test_no_role_reads_secrets_at_run_time() -> None:
    """No call at a cold start, and none that somebody in a function could make."""
    actions = {action for _, _, statement in statements() for action in listed(statement["Action"])}
    assert not [action for action in actions if action.startswith(("secretsmanager:", "ssm:"))]
