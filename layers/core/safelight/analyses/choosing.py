"""A gallery's groups with the best frame of each, and why it is the best."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from safelight.analyses import culling, queries
from safelight.analyses.culling import Frame
from safelight.analyses.looks import Look
from safelight.analyses.schemas import Culling, CullingFrame, CullingGroup
from safelight.pages import cut, decode_cursor
from safelight.pictures.measures import VERSION
from safelight.validators import strong_etag

SHOWN_UNANALYSED = 200
# Differences smaller than these are not what decided, to the eye.
_SHARPER, _CLEARER = 0.03, 0.005


@dataclass(frozen=True, slots=True)
class Shot:
    """A ready photo and what is known of it; `figures` is None while it is not analysed, or was by older formulas."""

    photo_id: uuid.UUID
    filename: str
    position: int
    at: float | None
    aspect: float
    figures: dict[str, Any] | None


def page(session: Session, gallery_id: uuid.UUID, limit: int, cursor: str | None) -> Culling:
    """One page of the gallery's groups, in one query. Raises Invalid."""
    after = tuple(decode_cursor(cursor, int, uuid.UUID)) if cursor else None
    shots = [Shot(uuid.UUID(one[0]), *one[1:]) for one in queries.shots(session, gallery_id)]
    found = culling.groups([_frame(index, shot) for index, shot in enumerate(shots) if shot.figures])

    def place(group: list[Frame]) -> tuple[int, uuid.UUID]:
        return shots[group[0].index].position, shots[group[0].index].photo_id

    rest = [group for group in found if after is None or place(group) > after]
    shown, following = cut(rest, limit, place)
    missing = [shot.photo_id for shot in shots if not shot.figures]
    return Culling(
        items=[_group(shots, group) for group in shown],
        next_cursor=following,
        group_count=len(found),
        photo_count=len(shots),
        grouped_count=sum(map(len, found)),
        not_analysed_count=len(missing),
        not_analysed=missing[:SHOWN_UNANALYSED],
    )


def etag(session: Session, gallery_id: uuid.UUID, limit: int, cursor: str | None) -> str:
    """A validator without the work: it changes with every photo and every analysis of the gallery."""
    return strong_etag(gallery_id, limit, cursor, VERSION, queries.shots_version(session, gallery_id))


def _frame(index: int, shot: Shot) -> Frame:
    figures = shot.figures
    assert figures is not None
    # Light changes contrast and edges alike: their ratio is what focus and shake leave of it.
    contrast = float(figures["contrast"])
    return Frame(
        index=index,
        dhash=int(figures["dhash"], 16),
        phash=int(figures["phash"], 16),
        at=shot.at,
        sharpness=float(figures["sharpness"]) / max(contrast, 0.001),
        clipped=float(figures["shadows"]) + float(figures["highlights"]),
        contrast=contrast,
        look=Look(
            brightness=float(figures["brightness"]),
            palette=tuple((one["colour"], float(one["share"])) for one in figures["palette"]),
            aspect=shot.aspect,
        ),
    )


def _group(shots: Sequence[Shot], group: list[Frame]) -> CullingGroup:
    by_faces = all((shots[frame.index].figures or {}).get("faces") for frame in group)
    if by_faces:
        group = [_of_faces(shots[frame.index], frame) for frame in group]
    ranked = culling.ranked(group)
    best = ranked[0][0]
    most = max(frame.sharpness for frame in group)
    times = [frame.at for frame in group if frame.at is not None]
    close = len(times) == len(group) and max(times) - min(times) <= culling.SPAN_SECONDS
    return CullingGroup(
        kind="burst" if close else "similar",
        best=shots[best.index].photo_id,
        why=why(ranked, by_faces=by_faces),
        photos=[
            _shown(shots[frame.index], frame, rank, score, most, best)
            for rank, (frame, score) in enumerate(ranked, start=1)
        ],
    )


def _shown(shot: Shot, frame: Frame, rank: int, score: float, most: float, best: Frame) -> CullingFrame:
    faces = (shot.figures or {}).get("faces")
    return CullingFrame(
        photo_id=shot.photo_id,
        filename=shot.filename,
        taken_at=dt.datetime.fromtimestamp(shot.at, dt.UTC) if shot.at is not None else None,
        rank=rank,
        score=score,
        sharpness=round(frame.sharpness / most, 3) if most > 0 else 1.0,
        clipped=round(frame.clipped, 5),
        faces=len(faces) if faces is not None else None,
        distance=(frame.dhash ^ best.dhash).bit_count(),
    )


def _of_faces(shot: Shot, frame: Frame) -> Frame:
    """The frame judged by the tiles that its faces cover: the mean of each face's sharpest, over all faces."""
    figures = shot.figures or {}
    tiles = figures["tiles"]
    columns, rows, values = tiles["columns"], tiles["rows"], tiles["sharpness"]
    sharpest = []
    for face in figures["faces"]:
        across = _covered(face["x"], face["width"], columns)
        down = _covered(face["y"], face["height"], rows)
        sharpest.append(max(values[row * columns + column] for row in down for column in across))
    contrast = max(float(figures["contrast"]), 0.001)
    sharpness = sum(sharpest) / len(sharpest) / contrast
    return replace(frame, sharpness=sharpness)


def _covered(start: float, length: float, count: int) -> range:
    first = min(count - 1, int(start * count))
    return range(first, max(first + 1, min(count, int((start + length) * count) + 1)))


def why(ranked: Sequence[tuple[Frame, float]], *, by_faces: bool = False) -> str:
    """One sentence with the figures that decided; whatever it says of the best frame holds against every other.

    `ranked` as `culling.ranked` gives it, two frames at least; `by_faces` says that only faces were judged.
    """
    best, others = ranked[0][0], [frame for frame, _ in ranked[1:]]
    sharpest = max(frame.sharpness for frame in others)
    clearest = min(frame.clipped for frame in others)
    lead = 1 - sharpest / best.sharpness if best.sharpness > 0 else -sharpest
    clearer = clearest - best.clipped
    of = f"of {len(ranked)}"
    if lead >= _SHARPER:
        told = f"Sharpest {'faces' if by_faces else 'details'} {of}: the next has {1 - lead:.0%} of its sharpness"
        least = f", and least of it is black or blown out ({best.clipped:.1%} against {clearest:.1%} or more)"
        return f"{told}{least if clearer >= _CLEARER else ''}."
    sharp = "about as sharp as any" if lead > -_SHARPER else f"{best.sharpness / sharpest:.0%} as sharp as the sharpest"
    if clearer >= _CLEARER:
        return f"Best light {of}: {best.clipped:.1%} black or blown out against {clearest:.1%} or more; {sharp}."
    if all(_equal(best, frame) for frame in others):
        first = best.index < min(frame.index for frame in others)
        return f"As good as any {of} in sharpness and light{', and the first of them in the gallery' if first else ''}."
    if clearer > -_CLEARER:
        light = "about as little of it black or blown out as of any"
    else:
        light = f"{best.clipped:.1%} black or blown out against {clearest:.1%} in the clearest"
    return f"Best balance of sharpness and light {of}: {sharp}, and {light}."


def _equal(one: Frame, other: Frame) -> bool:
    unlike = abs(one.sharpness - other.sharpness)
    return unlike <= _SHARPER * one.sharpness and abs(one.clipped - other.clipped) < _CLEARER
