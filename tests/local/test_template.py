"""What is read out of a template."""

from pathlib import Path

import pytest

from local.template import Template, compile_path

SITE = Path(__file__).parent / "site" / "template.yaml"


@pytest.fixture
def template() -> Template:
    return Template(SITE)


def test_functions_inherit_the_globals_and_keep_plain_variables_alone(template: Template) -> None:
    echo = template.functions()["Echo"]
    assert echo.directory == SITE.parent / "echo"
    assert (echo.handler, echo.timeout, echo.memory) == ("app.handler", 15, 128)
    assert echo.environment == {"KIND": "echo"}
    assert template.functions()["Work"].environment == {"KIND": "common"}
    assert [name for name, function in template.functions().items() if function.is_asgi] == ["Stream"]


def test_fixed_paths_come_before_variables_and_those_before_greedy_ones(template: Template) -> None:
    assert [(route.method, route.path) for route in template.routes()] == [
        ("GET", "/stream"),
        ("GET", "/echo/fixed"),
        ("ANY", "/echo/{name}"),
        ("GET", "/rest/{path+}"),
    ]


def test_time_outs_and_streaming_are_read_from_the_event(template: Template) -> None:
    routes = {route.path: route for route in template.routes()}
    assert routes["/echo/{name}"].timeout == 0.4
    assert routes["/echo/fixed"].timeout == 29
    assert [path for path, route in routes.items() if route.streams] == ["/stream"]


def test_a_kind_of_job_finds_its_function_through_bucket_and_queue(template: Template) -> None:
    assert template.workers() == {"work": "Work"}


def test_rates_are_seconds_and_other_schedules_are_refused(template: Template, tmp_path: Path) -> None:
    assert [(tick.function, tick.seconds) for tick in template.schedules()] == [("Tick", 300)]
    other = tmp_path / "template.yaml"
    other.write_text(SITE.read_text().replace("rate(5 minutes)", "'cron(0 4 * * ? *)'"))
    with pytest.raises(ValueError, match="only rate"):
        Template(other).schedules()


def test_the_gateways_own_answers_are_the_templates(template: Template) -> None:
    missing = template.gateway_response("MISSING_AUTHENTICATION_TOKEN", 403, "Missing")
    assert (missing.status, missing.body) == (404, b'{"code":"not_found"}')
    failed = template.gateway_response("INTEGRATION_TIMEOUT", 504, "Timed out")
    assert (failed.status, failed.body, failed.headers) == (502, b'{"message": "Timed out"}', {"retry-after": "2"})
    assert template.gateway_response("REQUEST_TOO_LARGE", 413, "Too long").status == 413


@pytest.mark.parametrize(
    ("path", "asked", "found"),
    [
        ("/a/{id}", "/a/1", {"id": "1"}),
        ("/a/{id}", "/a/1/2", None),
        ("/a/{id}", "/a/", None),
        ("/a/{rest+}", "/a/1/2", {"rest": "1/2"}),
        ("/a.b", "/axb", None),
    ],
)
def test_paths(path: str, asked: str, found: dict[str, str] | None) -> None:
    match = compile_path(path).fullmatch(asked)
    assert (match.groupdict() if match else None) == found


def test_what_the_template_says_of_the_sandbox_is_about_lambda_alone() -> None:
    """On this machine it would be refused, or would open photos without one."""
    functions = Template(Path(__file__).parents[2] / "template.yaml").functions().values()
    assert all("SANDBOX" not in function.environment for function in functions)
