"""What the share-link routes take and give."""

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from safelight.accounts.schemas import MAX_PASSWORD_BYTES
from safelight.text import Body, Moment, Storable, Title

DownloadPolicy = Literal["none", "web", "original"]
ExportFormat = Literal["txt", "csv"]


def _no_id(value: str) -> str:
    try:
        uuid.UUID(value)
    except ValueError:
        return value
    raise ValueError("a slug cannot look like an id")


# A slug that reads as a UUID would be looked up as an id, and never found.
Slug = Annotated[
    str,
    StringConstraints(min_length=3, max_length=60, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$"),
    AfterValidator(_no_id),
]
SharePassword = Annotated[str, Field(min_length=4, max_length=MAX_PASSWORD_BYTES), Storable]
MaxDownloads = Annotated[
    int,
    Field(
        ge=1,
        le=1_000_000,
        description="How many downloads the link gives: each visitor's of each file counts once. A visitor is the owner"
        " of the link's cookie, and with cookies off, everybody with the same address and program today",
    ),
]
StripMetadata = Annotated[
    bool,
    Field(
        description="Visitors get originals without position, serial numbers, names, maker notes, XMP, IPTC, comments"
        " and thumbnails, pixels untouched; where a file cannot be cleaned, the large rendition instead"
    ),
]
MaxFavourites = Annotated[int, Field(ge=1, le=1_000_000, description="How many photos one visitor may pick")]


class ShareCreate(Body):
    label: Title = ""
    slug: Slug | None = None
    password: SharePassword | None = None
    expires_at: Moment | None = None
    download: DownloadPolicy = "original"
    max_downloads: MaxDownloads | None = None
    max_favourites: MaxFavourites | None = None
    strip_metadata: StripMetadata = False


class SharePatch(Body):
    """`null` takes a password, an expiry, a slug or a limit away; `revoked` ends the link or brings it back."""

    label: Title | None = None
    slug: Slug | None = None
    password: SharePassword | None = None
    expires_at: Moment | None = None
    download: DownloadPolicy | None = None
    max_downloads: MaxDownloads | None = None
    max_favourites: MaxFavourites | None = None
    strip_metadata: StripMetadata | None = None
    revoked: bool | None = None


class ShareOut(BaseModel):
    """`url` is what the photographer sends to the client; the counters are exact at the time of the answer."""

    model_config = ConfigDict(from_attributes=True)

    share_id: uuid.UUID
    gallery_id: uuid.UUID
    url: str
    label: str
    slug: str | None
    has_password: bool
    expires_at: dt.datetime | None
    download: DownloadPolicy
    max_downloads: int | None
    max_favourites: int | None
    strip_metadata: StripMetadata
    views: int
    single_downloads: int
    zip_downloads: int
    revoked_at: dt.datetime | None
    created_at: dt.datetime


class PickedPhoto(BaseModel):
    photo_id: uuid.UUID
    filename: str


class SelectionOut(BaseModel):
    """What one visitor picked. `submitted_at` is the last submission, `updated_at` the last change.

    `photos` are the first 200 in the gallery's order, `count` is how many there are.
    """

    model_config = ConfigDict(from_attributes=True)

    selection_id: uuid.UUID
    name: str | None
    email: str | None
    note: str
    submitted_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime
    count: int
    photos: list[PickedPhoto]


BytesDownloaded = Annotated[
    int, Field(description="The sizes of the downloaded files, each as often as it counted as a download")
]


class ShareDay(BaseModel):
    """One day in UTC. `unique_visitors` are the day's cookies of this link, and each address with each program that
    brought none."""

    model_config = ConfigDict(from_attributes=True)

    date: dt.date = Field(validation_alias="day")
    unique_visitors: int
    views: int
    single_downloads: int
    zip_downloads: int
    bytes_downloaded: BytesDownloaded


class LikedPhoto(PickedPhoto):
    """`likes`: how many visitors have it among their favourites now."""

    likes: int


class ShareStats(BaseModel):
    """Totals and the days on which something happened, oldest first. Link previews, crawlers and HEAD count nothing.

    `visitor_days` is the sum of the days' unique visitors: who comes on two days counts twice. `selections` are those
    submitted, `most_liked` up to 20 photos.
    """

    share_id: uuid.UUID
    visitor_days: int
    views: int
    single_downloads: int
    zip_downloads: int
    bytes_downloaded: BytesDownloaded
    selections: int
    most_liked: list[LikedPhoto]
    days: list[ShareDay]
