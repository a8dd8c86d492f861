"""What counts as asking for a page, or for compression."""

from __future__ import annotations

import pytest

from safelight.web.negotiate import accepts


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", True),
        ("TEXT/HTML", True),
        ("application/json, text/html;q=0.5", True),
        ("application/json, text/html;q=0", False),
        ("application/json, text/html; q=0.000", False),
        ("text/htmlx", False),
        ("*/*", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_wanted_type_is_accepted(header: str | None, expected: bool) -> None:
    assert accepts(header, "text/html") is expected
