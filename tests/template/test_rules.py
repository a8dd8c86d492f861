"""House rules of the template that no linter knows."""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from pathlib import Path
from typing import Any

import pytest

from safelight.analyses import keys as analysis_keys
from safelight.config import MIB, Settings
from safelight.photos import keys
from safelight.web.observe import STRICT_TRANSPORT
from safelight.web.problems import MEDIA_TYPE
from tests.template import document

# Read by Lambda, the Web Adapter, Powertools, libvips and the C library; not by safelight.config.
FOREIGN = re.compile(r"^(AWS_LWA_.+|AWS_LAMBDA_EXEC_WRAPPER|POWERTOOLS_.+|VIPS_BLOCK_UNTRUSTED|MALLOC_ARENA_MAX)$")


def queue_of(reference: Any) -> str:
    """The logical id in `!GetAtt Queue.Arn`."""
    name: str = reference["Fn::GetAtt"][0]
    return name


@pytest.mark.parametrize("function", sorted(document.functions()))
def test_a_function_keeps_its_logs_for_a_stated_time(function: str) -> None:
    properties = document.functions()[function]
    group = properties["LoggingConfig"]["LogGroup"]["Ref"]
    logs = document.resources("AWS::Logs::LogGroup")[group]
    assert logs["RetentionInDays"] == {"Ref": "LogDays"}
    assert logs["LogGroupName"]["Fn::Sub"] == "/aws/lambda/" + properties["FunctionName"]["Fn::Sub"]
    assert properties["LoggingConfig"]["LogFormat"] == "JSON"


@pytest.mark.parametrize("function", sorted(document.functions()))
def test_a_function_runs_on_the_same_machine_and_network(function: str) -> None:
    properties = document.functions()[function]
    assert properties["Runtime"] == "python3.13"
    assert properties["Architectures"] == ["arm64"]
    assert properties["VpcConfig"]["SecurityGroupIds"] == [{"Ref": "FunctionsGroup"}]
    assert properties["Timeout"] <= 900
    assert {"Ref": "CoreLayer"} in properties["Layers"]
    assert document.template()["Resources"][function]["Metadata"]["BuildMethod"] == "makefile"
    assert (document.ROOT / properties["CodeUri"] / "Makefile").is_file()


@pytest.mark.parametrize("function", sorted(document.functions()))
def test_a_function_gets_every_setting_it_cannot_do_without(function: str) -> None:
    variables = set(document.functions()[function]["Environment"]["Variables"])
    known = {name.upper() for name in Settings.model_fields}
    required = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    assert required <= variables or function == "ProbePlatformFunction", "which uses no setting"
    assert {name for name in variables - known if not FOREIGN.match(name)} == set()
    assert variables >= {"STAGE", "BASE_URL"}, "the defaults of these are those of one machine"
    # What makes a function talk to another store than Amazon's must not come from the template.
    assert not variables & {"S3_ENDPOINT", "S3_PUBLIC_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_a_parameter_has_no_key_by_accident() -> None:
    """An unquoted comma within a description would begin another key."""
    known = {"Type", "Default", "Description", "AllowedPattern", "AllowedValues", "NoEcho", "MinValue", "MaxValue"}
    found = {name: set(one) - known for name, one in document.template()["Parameters"].items()}
    assert {name for name, unknown in found.items() if unknown} == set()


def test_quotas_are_known_where_they_are_shown_and_where_they_are_enforced() -> None:
    wanted = {"QUOTA_BYTES": {"Ref": "QuotaBytes"}, "QUOTA_PHOTOS": {"Ref": "QuotaPhotos"}}
    for function in ("AccountsFunction", "PhotosFunction"):
        variables = document.functions()[function]["Environment"]["Variables"]
        assert {name: variables[name] for name in wanted} == wanted


def test_functions_that_open_pictures_say_that_the_platform_is_their_wall() -> None:
    """Lambda refuses every filter (docs/decisions/0012); elsewhere the default holds, which is to require one."""
    said = {
        name: function["Environment"]["Variables"].get("SANDBOX") for name, function in document.functions().items()
    }
    opening = {name for name in said if imports_pictures(document.ROOT / document.functions()[name]["CodeUri"])}
    assert opening == {"ProcessPhotoFunction", "AnalysePhotoFunction", "FindFacesFunction", "ReprocessGalleryFunction"}
    assert {name for name, value in said.items() if value == "platform"} == opening
    assert {value for name, value in said.items() if name not in opening} == {None}


def imports_pictures(folder: Path) -> bool:
    """Whether a function's worker calls the room that opens pictures."""
    rooms = re.findall(
        r"^from safelight\.(\w+)\.(\w+) import handle_record", (folder / "app.py").read_text(), re.MULTILINE
    )
    core = document.ROOT / "layers" / "core" / "safelight"
    return any("safelight.pictures" in (core / room / f"{name}.py").read_text() for room, name in rooms)


def test_the_probe_holds_no_secret() -> None:
    variables = document.functions()["ProbePlatformFunction"]["Environment"]["Variables"]
    assert not {"DATABASE_URL", "JWT_SECRET"} & set(variables)
    assert "Events" not in document.functions()["ProbePlatformFunction"]


def test_a_queue_gives_up_into_a_watched_queue() -> None:
    queues = document.resources("AWS::SQS::Queue")
    dead = {
        queue_of(queue["RedrivePolicy"]["deadLetterTargetArn"]) for queue in queues.values() if "RedrivePolicy" in queue
    }
    working = {queue_of(event["Queue"]) for _, event in document.events("SQS")}
    assert working | dead == set(queues)
    assert not working & dead
    watched = {
        dimension["Value"]["Fn::GetAtt"][0]
        for alarm in document.resources("AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        for dimension in alarm["Dimensions"]
    }
    assert dead <= watched
    for name in working:
        assert queues[name]["RedrivePolicy"]["maxReceiveCount"] >= 5, "throttling alone must not use up the attempts"
    for name in dead:
        assert queues[name]["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_a_message_stays_hidden_for_six_timeouts() -> None:
    for name, event in document.events("SQS"):
        queue = document.resources("AWS::SQS::Queue")[queue_of(event["Queue"])]
        assert queue["VisibilityTimeout"] >= 6 * document.functions()[name]["Timeout"]
        assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_bucket_is_private_and_speaks_tls() -> None:
    bucket = document.resources("AWS::S3::Bucket")["Bucket"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    policy = document.resources("AWS::S3::BucketPolicy")["BucketPolicy"]["PolicyDocument"]["Statement"]
    assert policy == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [{"Fn::GetAtt": ["Bucket", "Arn"]}, {"Fn::Sub": "${Bucket.Arn}/*"}],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    assert document.template()["Resources"]["Bucket"]["DeletionPolicy"] == "Retain"


def test_nothing_temporary_stays_in_the_bucket() -> None:
    rules = document.resources("AWS::S3::Bucket")["Bucket"]["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule} == {
        "incoming/": 2,
        "analyses/": 2,
        "jobs/": 2,
        "archives/": 7,
    }
    everywhere = [rule for rule in rules if "Prefix" not in rule]
    assert [rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in everywhere] == [1]


def test_the_bucket_tells_the_worker_of_uploads_and_wakeups() -> None:
    told = document.resources("AWS::S3::Bucket")["Bucket"]["NotificationConfiguration"]["QueueConfigurations"]
    assert {filtered(entry): queue_of(entry["Queue"]) for entry in told} == {
        ("incoming/", ""): "PhotoArrivalsQueue",
        ("analyses/", "/upload"): "AnalysisArrivalsQueue",
        ("jobs/process_photo/", ""): "ProcessPhotoQueue",
        ("jobs/build_archive/", ""): "BuildArchiveQueue",
        ("jobs/analyse_photo/", ""): "AnalysePhotoQueue",
        ("jobs/find_faces/", ""): "FindFacesQueue",
        ("jobs/reprocess_gallery/", ""): "ReprocessGalleryQueue",
    }
    assert {entry["Event"] for entry in told} == {"s3:ObjectCreated:*"}
    # The keys that the code makes pass the filters.
    uploaded = {
        keys.incoming(uuid.UUID(int=1)): ("incoming/", ""),
        analysis_keys.upload(uuid.UUID(int=1)): ("analyses/", "/upload"),
    }
    assert all(key.startswith(prefix) and key.endswith(suffix) for key, (prefix, suffix) in uploaded.items())


def filtered(entry: dict[str, Any]) -> tuple[str, str]:
    """(prefix, suffix) of the keys of which the bucket tells a queue."""
    rules = {rule["Name"]: rule["Value"] for rule in entry["Filter"]["S3Key"]["Rules"]}
    return rules["prefix"], rules.get("suffix", "")


def test_arrivals_and_wake_ups_share_no_queue_and_reach_the_same_function() -> None:
    """An upload would wait behind another account's wake-ups before it has a place in the fair order."""
    told = document.resources("AWS::S3::Bucket")["Bucket"]["NotificationConfiguration"]["QueueConfigurations"]
    wakes = {queue_of(entry["Queue"]) for entry in told if filtered(entry)[0].startswith("jobs/")}
    arrivals = {queue_of(entry["Queue"]) for entry in told} - wakes
    assert arrivals == {"PhotoArrivalsQueue", "AnalysisArrivalsQueue"}
    sources = {queue_of(event["Queue"]): (name, event) for name, event in document.events("SQS")}
    reached = {filtered(entry)[0]: sources[queue_of(entry["Queue"])][0] for entry in told}
    assert reached["incoming/"] == reached["jobs/process_photo/"] == "ProcessPhotoFunction"
    assert reached["analyses/"] == reached["jobs/analyse_photo/"] == "AnalysePhotoFunction"
    for queue, (name, event) in sources.items():
        assert (event["BatchSize"] > 1) == (queue in arrivals), queue
        role = document.resources("AWS::IAM::Role")[name.removesuffix("Function") + "Role"]
        granted = json.dumps([one for one in role["Policies"][0]["PolicyDocument"]["Statement"] if "sqs" in str(one)])
        assert queue in granted, queue
    allowed = json.dumps(document.resources("AWS::SQS::QueuePolicy")["ArrivalsQueuePolicy"])
    assert all(f'"{queue}", "Arn"' in allowed for queue in arrivals)


def test_browsers_may_upload_from_the_site_only() -> None:
    (rule,) = document.resources("AWS::S3::Bucket")["Bucket"]["CorsConfiguration"]["CorsRules"]
    assert set(rule["AllowedMethods"]) == {"GET", "HEAD", "POST"}
    assert "*" not in rule["AllowedOrigins"]


def test_one_regional_rest_api_with_explicit_methods() -> None:
    apis = document.resources("AWS::Serverless::Api")
    assert [api["EndpointConfiguration"]["Type"] for api in apis.values()] == ["REGIONAL"]
    assert apis["Api"]["BinaryMediaTypes"] == ["*~1*"]
    for _, event in document.events("Api"):
        assert event["Method"] != "ANY"
        assert "+}" not in event["Path"]


def test_gateway_answers_are_problems_like_ours() -> None:
    responses = document.resources("AWS::Serverless::Api")["Api"]["GatewayResponses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= set(responses), "a kind without an answer of ours has API Gateway's own"
    for response in responses.values():
        problem = json.loads(response["ResponseTemplates"]["application/json"])
        assert set(problem) == {"type", "status", "code", "title", "detail"}
        assert problem["status"] == response["StatusCode"]
        headers = response["ResponseParameters"]["Headers"]
        assert headers["Content-Type"] == f"'{MEDIA_TYPE}'"
        assert headers["Cache-Control"] == "'no-store'"
        assert headers["Strict-Transport-Security"] == f"'{STRICT_TRANSPORT[1].decode()}'"
        assert ("Retry-After" in headers) == (problem["status"] in (429, 502, 504))


def test_subnets_have_no_way_out() -> None:
    kinds = {resource["Type"] for resource in document.template()["Resources"].values()}
    assert not kinds & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route"}
    endpoints = document.resources("AWS::EC2::VPCEndpoint")
    assert [endpoint["VpcEndpointType"] for endpoint in endpoints.values()] == ["Gateway"]
    assert document.resources("AWS::RDS::DBInstance")["DatabaseInstance"]["PubliclyAccessible"] is False


def test_alarms_tell_someone_and_say_what_they_mean() -> None:
    alarms = document.resources("AWS::CloudWatch::Alarm")
    assert {"DeadLettersAlarm", "ServerErrorsAlarm", "SweepAlarm"} <= set(alarms)
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert alarm["AlarmDescription"].endswith("."), name
        assert alarm["TreatMissingData"] in ("breaching", "notBreaching"), name


def test_the_dashboard_shows_every_function() -> None:
    body = document.resources("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(re.sub(r"\$\{[^}]+\}", "x", body))["widgets"]
    assert len(widgets) >= 6
    for function in document.functions():
        logs = document.functions()[function]["LoggingConfig"]["LogGroup"]["Ref"]
        assert "${" + logs + "}" in body
    places = {(widget["x"], widget["y"]) for widget in widgets}
    assert len(places) == len(widgets)


def test_a_streamed_archive_fits_what_lambda_streams() -> None:
    """200 MB an answer: docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html."""
    limit = document.template()["Parameters"]["ArchiveStreamLimit"]
    assert limit["Default"] <= limit["MaxValue"] < 200_000_000
    memory = document.functions()["DownloadsFunction"]["MemorySize"] * MIB
    assert memory >= 16 * Settings.model_fields["archive_window"].default


def test_a_part_fits_the_memory_of_its_job() -> None:
    parameter = document.template()["Parameters"]["ArchivePartSize"]
    assert parameter["Default"] == Settings.model_fields["archive_part_size"].default
    memory = document.functions()["BuildArchiveFunction"]["MemorySize"] * MIB
    # The part as it is read, the same as the request's body, and what was read ahead.
    assert memory >= 2 * parameter["MaxValue"] + Settings.model_fields["archive_window"].default + 256 * MIB
    (event,) = [event for name, event in document.events("SQS") if name == "BuildArchiveFunction"]
    assert event["BatchSize"] == 1, "parts are built side by side, and one that fails holds up no other"


def test_samconfig_names_only_parameters_of_the_template() -> None:
    config = tomllib.loads((document.ROOT / "samconfig.toml").read_text())
    assert set(config) == {"version", "default", "dev", "staging", "prod"}
    names = set()
    for stage in ("dev", "staging", "prod"):
        parameters = config[stage]["deploy"]["parameters"]
        pairs = dict(pair.split("=", 1) for pair in parameters["parameter_overrides"].split())
        assert pairs["Stage"] == stage
        assert set(pairs) <= set(document.template()["Parameters"])
        names.add(parameters["stack_name"])
    assert len(names) == 3
    # A bucket is named after the stack, the account and the region: 63 characters at most, lower case.
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) for name in names)
