"""What people and cameras wrote stays text: in pages, JSON, headers, ZIP names, tables and logs."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
import zipfile
from pathlib import Path

import httpx2 as httpx
import pytest
from PIL import Image

from safelight.web.pages import STATIC
from tests.api import Photographer, client, jpeg, run_jobs
from tests.functions.support import problem

pytestmark = pytest.mark.usefixtures("shared_api")

SCRIPT = "\"><script>alert('x')</script><img src=x onerror=alert(1)>"
FORMULAS = ("=cmd|'/c calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", '"=1', "\uff1d1+1")
SLIPS = (
    "../../evil.jpg", "..\\..\\evil.jpg", "/etc/evil.jpg", "C:\\evil.jpg", "a/../../evil.jpg", "....//evil.jpg", "..",
    "evil.jpg\0.exe", "nul.jpg", "\u202egpj.exe", "~/evil.jpg", "-rf.jpg", "\uff0e\uff0e\uff0fevil.jpg", "EVIL.JPG",
    "evil.jpg",
)  # fmt: skip
LINES = "a\r\nX-Evil: 1\r\n\r\n<b>.jpg"


def photographed(text: str) -> bytes:
    """A picture whose camera, lens, owner and description are this text."""
    exif = Image.Exif()
    for tag in (0x010F, 0x0110, 0x010E, 0x013B, 0x8298, 0x0131):
        exif[tag] = text
    details = exif.get_ifd(0x8769)
    details[0xA433], details[0xA434] = text, text
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (9, 99, 9)).save(out, "JPEG", exif=exif)
    return out.getvalue()


class Gallery:
    """Everything in it is what an attacker would write."""

    def __init__(self, text: str) -> None:
        self.anna = Photographer.registered()
        made = self.anna.gallery(title=text, description=text)
        self.gallery = made["id"]
        self.photo = self.anna.upload(
            self.gallery, photographed(text), filename=f"{text}.jpg", title=text, description=text, tags=[text[:60]]
        )
        run_jobs()
        self.share = str(self.anna.share(self.gallery, label=text)["share_id"])
        self.visitor = client()
        assert self.visitor.put(f"/s/{self.share}/favourites/{self.photo}").status_code == 200
        body = {"name": text.replace("\r\n", " ").strip()[:100], "note": text}
        assert self.visitor.post(f"/s/{self.share}/selection", json=body).status_code == 200
        key = self.anna.call("POST", "/auth/api-keys", json={"name": text, "scopes": ["read"]})
        assert key.status_code == 201

    def answers(self) -> list[httpx.Response]:
        """Every answer that holds any of it."""
        mine = (
            "/galleries", f"/galleries/{self.gallery}", f"/galleries/{self.gallery}/photos", f"/photos/{self.photo}",
            f"/galleries/{self.gallery}/share-links", f"/share-links/{self.share}", "/auth/api-keys", "/auth/sessions",
            f"/share-links/{self.share}/selections",
        )  # fmt: skip
        link = f"/s/{self.share}"
        theirs = (link, f"{link}/favourites", f"{link}/download/all/manifest", f"{link}/download/all/status")
        return [self.anna.call("GET", path) for path in mine] + [self.visitor.get(path) for path in theirs]


@pytest.fixture(scope="module")
def scripted(shared_api: str) -> Gallery:
    assert shared_api
    return Gallery(SCRIPT)


def test_a_stored_script_is_data_in_every_answer(scripted: Gallery) -> None:
    """Through file name, title, description, tag, EXIF, label, key, visitor's name and note."""
    shown = scripted.anna.photo(scripted.photo)
    for told in (
        shown["filename"],
        shown["title"],
        shown["description"],
        shown["camera"]["model"],
        shown["camera"]["lens"],
    ):
        assert "<script>" in told
    found = 0
    for answer in scripted.answers():
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"
        json.loads(answer.content)
        found += "<script>" in answer.text
    assert found >= 10


def test_a_browsers_pages_hold_nothing_that_anybody_wrote(scripted: Gallery) -> None:
    other = scripted.anna.share(scripted.anna.gallery(title="plain")["id"])["share_id"]
    pages = [client().get(f"/s/{share}", headers={"Accept": "text/html"}) for share in (scripted.share, other)]
    assert pages[0].content == pages[1].content
    assert "'unsafe-inline'" not in pages[0].headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|javascript:", pages[0].text)
    for path in (f"/s/{SCRIPT}", f"/s/{uuid.uuid4()}/photos/{SCRIPT}", f"/{SCRIPT}"):
        answer = client().get(path, headers={"Accept": "text/html"})
        assert answer.status_code in (404, 422)
        assert "alert" not in answer.text
        assert "'unsafe-inline'" not in answer.headers.get("content-security-policy", "")


@pytest.mark.parametrize("script", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_no_script_of_ours_makes_markup_of_text(script: Path) -> None:
    dangerous = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|createContextualFragment"
    )
    assert not re.search(dangerous, script.read_text())


def test_what_the_bucket_serves_is_a_picture_or_a_file_to_keep(scripted: Gallery) -> None:
    kept = scripted.visitor.get(f"/s/{scripted.share}/download/{scripted.photo}").headers["location"]
    answer = httpx.get(kept, verify=False)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "<script>" not in answer.headers["content-disposition"]
    for kind in (
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "image/jpeg; charset=x",
        "IMAGE/JPEG\r\n",
    ):
        body = {"filename": "x.svg", "content_type": kind, "file_size": 9}
        problem(scripted.anna.call("POST", f"/galleries/{scripted.gallery}/photos", json=body), 415, "unsupported_type")


def test_a_line_break_in_a_name_adds_no_header(shared_api: str) -> None:
    assert shared_api
    hostile = Gallery(LINES)
    link = f"/s/{hostile.share}"
    answers = [
        hostile.visitor.get(f"{link}/download/all"),
        hostile.anna.call("GET", f"/galleries/{hostile.gallery}/download"),
        hostile.anna.call("GET", f"/share-links/{hostile.share}/selections?format=csv"),
        hostile.anna.call("GET", f"/share-links/{hostile.share}/selections?format=txt"),
        httpx.get(hostile.visitor.get(f"{link}/download/{hostile.photo}").headers["location"], verify=False),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert "x-evil" not in answer.headers
        told = answer.headers["content-disposition"]
        assert told.startswith("attachment;")
        assert not re.search(r"[\x00-\x1f]|%0d|%0a", told, re.IGNORECASE)
    assert len(answers[3].text.splitlines()) == 1


def test_no_name_in_an_archive_leads_out_of_its_folder(shared_api: str, tmp_path: Path) -> None:
    """ZIP slip."""
    assert shared_api
    anna = Photographer.registered()
    gallery = anna.gallery(title="../../evil")["id"]
    taken = 0
    for number, name in enumerate(SLIPS):
        body = {"filename": name, "content_type": "image/jpeg", "file_size": 1}
        if "\0" in name:
            problem(anna.call("POST", f"/galleries/{gallery}/photos", json=body), 422, "invalid")
            continue
        anna.upload(gallery, jpeg(colour=(number, 9, 9)), filename=name)
        taken += 1
    run_jobs()
    share = anna.share(gallery)["share_id"]
    answer = client().get(f"/s/{share}/download/all")
    assert "/" not in answer.headers["content-disposition"].partition(";")[2].replace("UTF-8''", "")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        assert len({name.casefold() for name in names}) == len(names) == taken + 1
        for name in names:
            assert not re.search(r'[/\\:*?"<>|\x00-\x1f\u202a-\u202e]|^[. -]|\.\.', name), name
        folder = tmp_path / "a" / "b"
        folder.mkdir(parents=True)
        archive.extractall(folder)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(names)
    assert all(path.parent == folder for path in tmp_path.rglob("*") if path.is_file())


def test_no_cell_of_a_table_is_a_formula(shared_api: str) -> None:
    """Formula injection, by a visitor's name and note and by a file's name."""
    assert shared_api
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photos = [anna.upload(gallery, filename=f"{formula.strip()}.jpg") for formula in FORMULAS]
    run_jobs()
    share = anna.share(gallery)["share_id"]
    for photo, formula in zip(photos, FORMULAS, strict=True):
        visitor = client()
        visitor.headers["user-agent"] = formula.strip().encode("ascii", "ignore").decode()
        assert visitor.put(f"/s/{share}/favourites/{photo}").status_code == 200
        body = {"name": formula.strip(), "note": f"{formula}\r\n{formula}"}
        assert visitor.post(f"/s/{share}/selection", json=body).status_code == 200
    answer = anna.call("GET", f"/share-links/{share}/selections?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment;")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert len(rows) == len(FORMULAS) + 1
    for row in rows:
        for cell in row:
            for line in cell.splitlines() or [""]:
                assert not line.lstrip(' \t"').startswith(tuple("=+-@\uff1d")), cell
