"""Reserved executions, database connections and rates by address."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from safelight.roles.privileges import DATA, DOWNLOADS, PICTURES, SHARES, VISITS
from tests.template import document

# max_connections of Aurora PostgreSQL by the most capacity units, with at least 0.5 at rest:
# docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
AURORA = {1: 189, 4: 823, 8: 1669, 16: 2000}
ACCOUNT = 1000
"""Executions at a time of an ordinary account and region; AWS keeps UNRESERVED of them without a reservation."""
UNRESERVED = 100
# One for requests; `downloads` looks at archives with the ORM besides.
CONNECTIONS = {"VisitsConcurrency": 1, "DownloadsConcurrency": 2, "WorkerConcurrency": 1, "AnalysisConcurrency": 1}


def defaults() -> dict[str, Any]:
    return {name: parameter["Default"] for name, parameter in document.template()["Parameters"].items()}


def stages() -> list[dict[str, Any]]:
    """The parameters of the template's defaults and of every stage in samconfig.toml."""
    config = tomllib.loads((document.ROOT / "samconfig.toml").read_text())
    found = [defaults()]
    for stage in ("dev", "staging", "prod"):
        pairs = config[stage]["deploy"]["parameters"]["parameter_overrides"].split()
        found.append(defaults() | dict(pair.split("=", 1) for pair in pairs))
    return found


def test_executions_are_reserved_for_visitors_unless_none_are() -> None:
    for name in ("Visits", "Downloads"):
        reserved = document.functions()[f"{name}Function"]["ReservedConcurrentExecutions"]
        assert reserved == {"Fn::If": [f"Reserves{name}", {"Ref": f"{name}Concurrency"}, {"Ref": "AWS::NoValue"}]}
        condition = document.template()["Conditions"][f"Reserves{name}"]
        assert condition == {"Fn::Not": [{"Fn::Equals": [{"Ref": f"{name}Concurrency"}, 0]}]}
    others = set(document.functions()) - {"VisitsFunction", "DownloadsFunction"}
    assert not [name for name in others if "ReservedConcurrentExecutions" in document.functions()[name]]


def test_the_defaults_fit_an_ordinary_account_and_the_first_stage_a_new_one() -> None:
    for stage in stages():
        reserved = int(stage["VisitsConcurrency"]) + int(stage["DownloadsConcurrency"])
        assert ACCOUNT - reserved >= 5 * UNRESERVED
    assert (stages()[1]["VisitsConcurrency"], stages()[1]["DownloadsConcurrency"]) == ("0", "0")


def test_what_runs_at_most_fits_its_share_of_the_connections() -> None:
    for stage in stages():
        most = AURORA.get(int(stage["DatabaseMaxCapacity"]))
        if most is None:
            assert stage["VisitsConcurrency"] == stage["DownloadsConcurrency"] == "0"
            continue
        share = {role: (most - 5) * percent // 100 for role, percent in SHARES.items()}
        needs = {name: int(stage[name]) * connections for name, connections in CONNECTIONS.items()}
        assert needs["VisitsConcurrency"] <= share[VISITS]
        assert needs["DownloadsConcurrency"] <= share[DOWNLOADS]
        # Two of reprocessing, and two of arrivals for each of the two functions that get uploads.
        fixed = 2 + sum(event["ScalingConfig"]["MaximumConcurrency"] for event in arrivals())
        assert fixed == 6
        assert needs["WorkerConcurrency"] + 2 * needs["AnalysisConcurrency"] + fixed <= share[PICTURES]
        assert int(stage["ArchiveConcurrency"]) <= share[DATA] // 4


def arrivals() -> list[dict[str, Any]]:
    """The event sources of queues of uploads that arrived."""
    return [event for _, event in document.events("SQS") if "Arrivals" in event["Queue"]["Fn::GetAtt"][0]]


def rules() -> dict[str, dict[str, Any]]:
    acl = document.resources("AWS::WAFv2::WebACL")["Waf"]
    return {rule["Name"]: rule["Statement"]["RateBasedStatement"] for rule in acl["Rules"]}


def test_the_firewall_is_there_only_when_asked_for() -> None:
    assert document.template()["Parameters"]["EnableWaf"]["Default"] == "no"
    for name in ("Waf", "WafOfApi"):
        assert document.template()["Resources"][name]["Condition"] == "HasWaf"
    association = document.resources("AWS::WAFv2::WebACLAssociation")["WafOfApi"]
    assert association["ResourceArn"]["Fn::Sub"].endswith("::/restapis/${Api}/stages/${Api.Stage}")
    assert association["WebACLArn"] == {"Fn::GetAtt": ["Waf", "Arn"]}


def test_each_address_has_two_rates_and_the_tighter_one_is_for_guesses() -> None:
    found = rules()
    assert {name: rule["Limit"]["Ref"] for name, rule in found.items()} == {
        "guesses": "WafGuessRate",
        "requests": "WafRate",
    }
    assert {rule["AggregateKeyType"] for rule in found.values()} == {"IP"}
    assert defaults()["WafGuessRate"] < defaults()["WafRate"]
    acl = document.resources("AWS::WAFv2::WebACL")["Waf"]
    assert (acl["Scope"], acl["DefaultAction"]) == ("REGIONAL", {"Allow": {}})
    assert [rule["Action"] for rule in acl["Rules"]] == [{"Block": {}}, {"Block": {}}]


def test_the_tighter_rate_is_of_every_route_that_looks_at_a_password() -> None:
    pattern = rules()["guesses"]["ScopeDownStatement"]["RegexMatchStatement"]["RegexString"]
    settings = document.resources("AWS::Serverless::Api")["Api"]["MethodSettings"]
    guessed = {
        one["ResourcePath"].lstrip("/").replace("~1", "/")
        for one in settings
        if one.get("ThrottlingRateLimit") == {"Ref": "GuessRate"}
    }
    assert len(guessed) >= 5
    for path in {path for pairs in document.routes().values() for _, path in pairs}:
        for prefix in ("", "/prod"):
            asked = prefix + re.sub(r"\{\w+\}", "anna-and-ben", path)
            assert bool(re.match(pattern, asked)) == (path in guessed), asked
