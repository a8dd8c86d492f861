"""What `template.yaml` says of functions, routes, queues and schedules: one truth for the cloud and this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x` becomes `{"Ref": "x"}`."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def read(path: Path) -> dict[str, Any]:
    """A template as data, its short forms written out. Raises OSError, yaml.YAMLError."""
    document: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader with short forms
    return document


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the template.

    `environment` holds its variables with plain values; references to other resources are the supervisor's to give.
    SANDBOX is not among them: what the template says there is about Lambda.
    `timeout` is seconds, `memory` MiB. `role` is the user in its DATABASE_URL, empty when it has none.
    """

    name: str
    directory: Path
    handler: str
    timeout: int
    memory: int
    environment: dict[str, str]
    role: str = ""

    @property
    def is_asgi(self) -> bool:
        """Whether it runs a web server behind the Lambda Web Adapter in place of a Python handler."""
        return self.handler.endswith(".sh")


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path of the REST API and their function. `streams`: RESPONSE_STREAM; `timeout`: seconds."""

    method: str
    path: str
    function: str
    streams: bool
    timeout: float
    pattern: re.Pattern[str]

    @property
    def rank(self) -> tuple[bool, list[bool], bool]:
        """API Gateway's order of choice: fixed segments before variables, greedy ones last, ANY after a method."""
        segments = self.path.strip("/").split("/")
        return "+}" in self.path, [segment.startswith("{") for segment in segments], self.method == "ANY"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function that is called every `seconds`."""

    name: str
    function: str
    seconds: int


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """What API Gateway itself answers in a case that reaches no function."""

    status: int
    body: bytes
    headers: dict[str, str]


class Template:
    """A parsed template. Raises OSError or yaml.YAMLError when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        # the loader is SafeLoader with tags that make plain dictionaries
        self._document = read(path)
        self._common: dict[str, Any] = self._document.get("Globals", {}).get("Function", {})

    def functions(self) -> dict[str, Function]:
        """Every function by its logical name."""
        found = {}
        for name, own in self._of("AWS::Serverless::Function"):
            properties = {**self._common, **own}
            variables = {**_variables(self._common), **_variables(own)}
            found[name] = Function(
                name=name,
                directory=self.path.parent / properties["CodeUri"],
                handler=properties["Handler"],
                timeout=int(properties.get("Timeout", 3)),
                memory=int(properties.get("MemorySize", 128)),
                environment={
                    key: str(value)
                    for key, value in variables.items()
                    if not isinstance(value, dict) and key != "SANDBOX"
                },
                role=_user(variables.get("DATABASE_URL")),
            )
        return found

    def routes(self) -> list[Route]:
        """The REST API's routes, the more specific first."""
        found = []
        for function, _, event in self._events("Api"):
            method = event["Method"].upper()
            found.append(
                Route(
                    method="ANY" if method == "*" else method,
                    path=event["Path"],
                    function=function,
                    streams=event.get("ResponseTransferMode") == "RESPONSE_STREAM",
                    timeout=event.get("TimeoutInMillis", 29_000) / 1000,
                    pattern=compile_path(event["Path"]),
                )
            )
        return sorted(found, key=lambda route: route.rank)

    def is_binary(self) -> bool:
        """Whether every body travels as base64 between API Gateway and a function (binary media type `*/*`)."""
        return any("*~1*" in api.get("BinaryMediaTypes", []) for _, api in self._of("AWS::Serverless::Api"))

    def gateway_response(self, kind: str, status: int, message: str) -> GatewayResponse:
        """The template's own answer for `kind` (API Gateway's gateway response types), or API Gateway's default.

        A kind of the 4xx or 5xx family takes what the template says of DEFAULT_4XX or DEFAULT_5XX.
        """
        own: dict[str, Any] = {}
        for _, api in self._of("AWS::Serverless::Api"):
            answers = api.get("GatewayResponses", {})
            own = answers.get(kind) or answers.get(f"DEFAULT_{status // 100}XX") or own
        body = own.get("ResponseTemplates", {}).get("application/json") or json.dumps({"message": message})
        given = own.get("ResponseParameters", {}).get("Headers", {})
        headers = {name.lower(): str(value).strip("'") for name, value in given.items()}
        return GatewayResponse(int(own.get("StatusCode", status)), body.encode(), headers)

    def workers(self) -> dict[str, str]:
        """Which function does the jobs of which kind: the bucket tells of `jobs/{kind}/` to a queue, it a function."""
        by_queue = {_target(event["Queue"]): function for function, _, event in self._events("SQS")}
        found = {}
        for _, bucket in self._of("AWS::S3::Bucket"):
            for notice in bucket.get("NotificationConfiguration", {}).get("QueueConfigurations", []):
                for rule in notice.get("Filter", {}).get("S3Key", {}).get("Rules", []):
                    match = re.fullmatch(r"jobs/([^/]+)/?", rule["Value"])
                    function = by_queue.get(_target(notice["Queue"]))
                    if match and function:
                        found[match[1]] = function
        return found

    def schedules(self) -> list[Schedule]:
        """Functions with a rate(). Raises ValueError for another expression: it would silently never run here."""
        found = []
        for function, name, event in self._events("Schedule", "ScheduleV2"):
            expression = event.get("ScheduleExpression") or event.get("Schedule", "")
            match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
            if match is None:
                raise ValueError(f"{function}: only rate() schedules run locally, not {expression!r}")
            found.append(Schedule(name, function, int(match[1]) * SECONDS[match[2]]))
        return found

    def _of(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, resource in self._document.get("Resources", {}).items():
            if resource["Type"] == kind:
                yield name, resource.get("Properties", {})

    def _events(self, *kinds: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for function, properties in self._of("AWS::Serverless::Function"):
            for name, event in properties.get("Events", {}).items():
                if event["Type"] in kinds:
                    yield function, name, event["Properties"]


def compile_path(path: str) -> re.Pattern[str]:
    """The pattern of a route's path: `{id}` is one segment, `{rest+}` is the rest. A final slash is another path."""
    pattern = ""
    for part in re.split(r"(\{[^}]+\})", path):
        if part.startswith("{"):
            name = part[1:-1].rstrip("+")
            pattern += f"(?P<{name}>{'.+' if part.endswith('+}') else '[^/]+'})"
        else:
            pattern += re.escape(part)
    return re.compile(pattern)


def _variables(properties: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = properties.get("Environment", {}).get("Variables", {})
    return found


def _user(url: Any) -> str:
    """The user in a database URL, which holds references to other resources where it is a `!Sub`."""
    match = re.match(r"postgresql://(\w+):", url.get("Fn::Sub", "") if isinstance(url, dict) else str(url))
    return match[1] if match else ""


def _target(reference: Any) -> str:
    """The logical name that `!Ref Queue` or `!GetAtt Queue.Arn` points to."""
    if isinstance(reference, dict):
        value = reference.get("Ref") or reference.get("Fn::GetAtt")
        return str(value[0] if isinstance(value, list) else value)
    return str(reference)
