"""What the analysis routes take and give. docs/analyses.md says how each figure is made."""

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from safelight.photos.schemas import Crc32, UploadForm
from safelight.text import Body, Filename

AnalysisStatus = Literal["pending", "processing", "ready", "failed"]


class PhotoAnalysis(Body):
    """Analyse a photo; `faces` false leaves out the search for faces."""

    photo_id: uuid.UUID
    faces: bool = True


class UploadAnalysis(Body):
    """Analyse a file that is about to come and is not kept. `file_size` is bytes; `crc32` as for photos."""

    filename: Filename
    content_type: Annotated[str, Field(max_length=100)]
    file_size: Annotated[int, Field(strict=True, ge=1, le=2**40)]
    crc32: Crc32 | None = None
    faces: bool = True


class Tiles(BaseModel):
    """The picture in about square tiles, row by row from the upper left; `sharpness` as of the whole."""

    columns: int
    rows: int
    sharpness: list[float]


class Swatch(BaseModel):
    """A dominant colour (#rrggbb, sRGB) and its share of the pixels (0..1)."""

    colour: str
    share: float


class Face(BaseModel):
    """A face: its box from the upper left corner, as shares (0..1) of width and height, and the cascade's score."""

    x: float
    y: float
    width: float
    height: float
    score: float


class AnalysisResult(BaseModel):
    """Figures of a copy with 800 px on the long side. `faces` is null where none were looked for.

    `sharpness` and `noise` are in levels of 255, `brightness`, `contrast` and `tonal_range` in shares of the full
    scale, `shadows` and `highlights` in shares of the pixels; `dhash` is 128 bits and `phash` 64, in hex.
    """

    sharpness: float
    brightness: float
    shadows: float
    highlights: float
    contrast: float
    tonal_range: float
    noise: float
    colourfulness: float
    palette: list[Swatch]
    dhash: str
    phash: str
    tiles: Tiles
    faces: list[Face] | None = None
    version: int


class AnalysisOut(BaseModel):
    """`error` says why an analysis failed. `result` is what is known, also while more is being found out.

    A photo's analysis has its `photo_id`, one of an upload its `filename`, `content_type` and `file_size`.
    """

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    photo_id: uuid.UUID | None
    filename: str | None
    content_type: str | None
    file_size: int | None
    status: AnalysisStatus
    result: AnalysisResult | None
    error: str | None
    created_at: dt.datetime
    updated_at: dt.datetime
    completed_at: dt.datetime | None


class AnalysisCreated(AnalysisOut):
    """`upload` is the form for the file, with an analysis that waits for one."""

    upload: UploadForm | None = None


class CullingFrame(BaseModel):
    """A photo in its group. `score` is 0..1; `sharpness` is relative to the sharpest of the group, 0..1.

    `clipped` is the share of its pixels that are black or blown out; `faces` how many were found, null when none
    were looked for; `distance` in how many of 128 bits its dHash differs from the best's.
    """

    photo_id: uuid.UUID
    filename: str
    taken_at: dt.datetime | None
    rank: int
    score: float
    sharpness: float
    clipped: float
    faces: int | None
    distance: int


class CullingGroup(BaseModel):
    """Photos of the same thing, the best first. A `burst` was taken within seconds; `similar` ones look the same."""

    kind: Literal["burst", "similar"]
    best: uuid.UUID
    why: str
    photos: list[CullingFrame]


class Culling(BaseModel):
    """One page of a gallery's groups in the gallery's order. `group_count` and the counts of photos are of all pages.

    `not_analysed` are ready photos without figures, or with figures by older formulas: the first 200; they are in no
    group.
    """

    items: list[CullingGroup]
    next_cursor: str | None
    group_count: int
    photo_count: int
    grouped_count: int
    not_analysed_count: int
    not_analysed: list[uuid.UUID]
