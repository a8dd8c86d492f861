"""Culling over HTTP: groups of real pictures, the best frame, pages, what is not analysed yet."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import ImageFilter

from bench import scenes
from tests.api import Photographer, run_jobs
from tests.functions.support import problem, same, sql, statements

pytestmark = pytest.mark.usefixtures("shared_api")


def culled(anna: Photographer, gallery: str, **params: Any) -> dict[str, Any]:
    answer = anna.call("GET", f"/galleries/{gallery}/culling", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def taken(photo_id: str, seconds: float) -> None:
    sql(
        "UPDATE photos SET taken_at = to_timestamp(1800000000 + cast(:s AS float8)) WHERE id = :id",
        s=seconds,
        id=photo_id,
    )


@pytest.fixture
def anna(shared_api: str) -> Photographer:
    assert shared_api
    return Photographer.registered()


@pytest.fixture
def gallery(anna: Photographer) -> str:
    return str(anna.gallery()["id"])


@pytest.fixture
def shots(anna: Photographer, gallery: str) -> dict[str, str]:
    """A burst of three whose second is sharp, a lone photo, and one uploaded twice at two qualities."""
    ids = {}
    for at, (name, blur) in enumerate((("soft", 1.0), ("sharp", 0.0), ("shaken", 4.0))):
        picture = scenes.frame(3, at).filter(ImageFilter.GaussianBlur(blur))
        ids[name] = anna.upload(gallery, scenes.jpeg(picture, 88), filename=f"{name}.jpg")
    ids["alone"] = anna.upload(gallery, scenes.jpeg(scenes.scene(4), 88))
    for name, quality in (("once", 92), ("twice", 60)):
        ids[name] = anna.upload(gallery, scenes.jpeg(scenes.scene(5), quality))
    run_jobs()
    for at, name in enumerate(("soft", "sharp", "shaken", "alone")):
        taken(ids[name], at * 1.5)
    return ids


def test_the_best_of_each_group_is_named_with_the_reason(
    anna: Photographer, gallery: str, shots: dict[str, str]
) -> None:
    found = culled(anna, gallery)
    burst, similar = found["items"]
    assert (burst["kind"], similar["kind"]) == ("burst", "similar")
    assert [one["photo_id"] for one in burst["photos"]] == [shots[name] for name in ("sharp", "soft", "shaken")]
    assert (burst["best"], burst["photos"][0]["rank"]) == (shots["sharp"], 1)
    assert burst["photos"][0]["sharpness"] == 1
    assert burst["why"].startswith("Sharpest details of 3: the next has ")
    assert {one["photo_id"] for one in similar["photos"]} == {shots["once"], shots["twice"]}
    assert (found["group_count"], found["grouped_count"], found["photo_count"]) == (2, 5, 6)
    assert (found["not_analysed_count"], found["not_analysed"], found["next_cursor"]) == (0, [], None)


def test_pages_follow_the_gallery_and_cover_every_group_once(
    anna: Photographer, gallery: str, shots: dict[str, str]
) -> None:
    first = culled(anna, gallery, limit=1)
    second = culled(anna, gallery, limit=1, cursor=first["next_cursor"])
    assert [one["best"] for one in first["items"] + second["items"]] == [
        one["best"] for one in culled(anna, gallery)["items"]
    ]
    assert second["next_cursor"] is None
    assert (first["group_count"], second["group_count"]) == (2, 2)
    problem(anna.call("GET", f"/galleries/{gallery}/culling?cursor=x"), 422, "invalid")
    assert shots


def test_a_photo_without_figures_is_listed_and_in_no_group(
    anna: Photographer, gallery: str, shots: dict[str, str]
) -> None:
    sql("DELETE FROM analyses WHERE photo_id = :id", id=shots["sharp"])
    found = culled(anna, gallery)
    assert found["not_analysed"] == [shots["sharp"]]
    assert found["items"][0]["best"] == shots["soft"]
    anna.call("POST", "/analyses", json={"photo_id": shots["sharp"], "faces": False})
    run_jobs()
    assert culled(anna, gallery)["items"][0]["best"] == shots["sharp"]


def test_figures_by_older_formulas_are_not_compared_and_can_be_asked_for(
    anna: Photographer, gallery: str, shots: dict[str, str]
) -> None:
    sql(
        'UPDATE analyses SET result = result || \'{"version": 1, "dhash": "0123456789abcdef"}\' WHERE photo_id = :id',
        id=shots["sharp"],
    )
    found = culled(anna, gallery)
    assert (found["not_analysed"], found["items"][0]["best"]) == ([shots["sharp"]], shots["soft"])
    asked = anna.call("POST", "/analyses", json={"photo_id": shots["sharp"], "faces": False}).json()
    assert (asked["status"], asked["result"]["version"]) == ("processing", 1)
    assert run_jobs() == 1
    found = culled(anna, gallery)
    assert (found["not_analysed"], found["items"][0]["best"]) == ([], shots["sharp"])


def test_faces_decide_when_every_frame_has_them(anna: Photographer, gallery: str, shots: dict[str, str]) -> None:
    """The sharpest frame by its details, with the face in its only soft corner, is not the best any more."""
    figures = {"columns": 2, "rows": 1}
    for name, tiles in (("sharp", [1.0, 90.0]), ("soft", [30.0, 20.0]), ("shaken", [5.0, 5.0])):
        sql(
            "UPDATE analyses SET result = jsonb_set(jsonb_set(result, '{tiles}', cast(:tiles AS jsonb)), '{faces}',"
            " '[{\"x\": 0.1, \"y\": 0.2, \"width\": 0.2, \"height\": 0.3, \"score\": 5}]') WHERE photo_id = :id",
            id=shots[name], tiles=str(figures | {"sharpness": tiles}).replace("'", '"'),
        )  # fmt: skip
    burst = culled(anna, gallery)["items"][0]
    assert burst["best"] == shots["soft"]
    assert burst["why"].startswith("Sharpest faces of 3")
    assert [one["faces"] for one in burst["photos"]] == [1, 1, 1]


def test_known_groups_are_not_made_again(anna: Photographer, gallery: str, shots: dict[str, str]) -> None:
    path = f"/galleries/{gallery}/culling"
    first = anna.call("GET", path)
    known = {"If-None-Match": first.headers["etag"]}
    again = anna.call("GET", path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert anna.call("GET", f"{path}?limit=1", headers=known).status_code == 200
    anna.call("DELETE", f"/photos/{shots['sharp']}")
    changed = anna.call("GET", path, headers=known)
    assert changed.status_code == 200
    assert changed.json()["items"][0]["best"] == shots["soft"]


def test_a_strangers_gallery_is_missing_and_an_empty_one_has_no_groups(anna: Photographer, gallery: str) -> None:
    ben = Photographer.registered()
    foreign = ben.call("GET", f"/galleries/{gallery}/culling")
    missing = ben.call("GET", "/galleries/8a3c7e52-9b1d-4e0f-a6c5-2d7f8b9e0a13/culling")
    problem(missing, 404, "not_found")
    assert same(foreign, missing)
    assert culled(anna, gallery)["items"] == []


def test_a_large_gallery_takes_as_many_queries_as_a_small_one(
    anna: Photographer, gallery: str, shots: dict[str, str]
) -> None:
    def count() -> int:
        with statements() as sent:
            culled(anna, gallery)
        return len(sent)

    before = count()
    sql(
        "INSERT INTO photos (id, gallery_id, filename, content_type, file_size, s3_key, position, status, width,"
        " height) SELECT gen_random_uuid(), :gallery, 'x', 'image/jpeg', 1, 'x', n, 'ready', 900, 600"
        " FROM generate_series(1, 3000) n",
        gallery=gallery,
    )
    sql(
        "INSERT INTO analyses (id, owner_id, photo_id, status, result) SELECT gen_random_uuid(), a.owner_id, p.id,"
        " 'ready', a.result FROM photos p, analyses a WHERE p.filename = 'x' AND p.gallery_id = :gallery"
        " AND a.photo_id = :model",
        gallery=gallery, model=shots["alone"],
    )  # fmt: skip
    assert count() == before
    found = culled(anna, gallery)
    assert found["photo_count"] == 3006
    assert len(found["items"][0]["photos"]) == 3001
