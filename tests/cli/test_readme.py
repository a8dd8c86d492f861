"""The commands that the README shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from cli.main import parser
from tests.cli.conftest import Command, Large

ROOT = Path(__file__).resolve().parents[2]
LINK = "https://photos.example/s/anna-and-ben"


def commands() -> list[list[str]]:
    section = (ROOT / "README.md").read_text().partition("## From the command line")[2].partition("\n## ")[0]
    shown = [shlex.split(line, comments=True) for line in re.findall(r"^safelight .*$", section, re.MULTILINE)]
    return [words[1:] for words in shown]


def test_all_of_them_are_understood() -> None:
    understood = [parser().parse_args(words).command for words in commands()]
    assert understood == ["download", "login", "galleries", "download"]


def test_a_visitors_command_does_what_it_says(large: Large, safelight: Command) -> None:
    [words] = [words for words in commands() if LINK in words]
    link = large.link()
    assert safelight(*(link if word == LINK else word for word in words)) == 0
    assert sorted(path.name for path in Path().iterdir()) == ["Anna & Ben (web size)", "Anna & Ben (web size).zip"]
