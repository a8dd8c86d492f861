"""What the documents say about the code, compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

from safelight.config import Settings

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def test_the_settings_table_is_the_settings() -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("\n## Settings")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([A-Z_0-9]+)` \| (\S+)", section, re.MULTILINE)
    assert [name for name, _ in named] == [name.upper() for name in Settings.model_fields]
    required = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    assert required <= {name for name, default in named if default == "required"}


def test_links_between_documents_lead_somewhere() -> None:
    links = [
        (document, link)
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
        if not link.startswith("http")
    ]
    assert len(links) > 10
    assert [(str(document), link) for document, link in links if not (document.parent / link).exists()] == []


def test_every_decision_has_its_parts() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        headings = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Alternatives", "Sources"], path.name
        assert re.search(r"^## Decision\n\n> .+", path.read_text(), re.MULTILINE), f"{path.name}: one quotable sentence"


def test_every_room_is_described() -> None:
    told = (ROOT / "docs/architecture.md").read_text()
    modules = (ROOT / "layers/core/safelight").glob("**/*.py")
    rooms = {path.relative_to(ROOT / "layers/core/safelight").parts[0].removesuffix(".py") for path in modules}
    helpers = {"__init__", "pages", "text"}
    assert [room for room in sorted(rooms - helpers) if f"`{room}`" not in told] == []


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/threat-model.md").read_text())
    assert len(named) > 50
    missing = [
        (path, name)
        for path, name in named
        if not (ROOT / path).exists() or (name and f"def {name}(" not in (ROOT / path).read_text())
    ]
    assert missing == []
