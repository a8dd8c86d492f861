"""What a download is to hold, as types: each alias decides once, for every route that names it, who may have what."""

import uuid
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Query
from pg8000.native import Connection

from safelight.archives.plan import Plan
from safelight.archives.service import archive_name, plan_gallery
from safelight.shares.visits import Size
from safelight.web.owner import OwnGallery
from safelight.web.proofing import ChosenPhotos, SelectionQuery, of_gallery
from safelight.web.visitor import Db, LiveVisit, Visit

SizeQuery = Annotated[Literal["original", "web"] | None, Query()]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose photos, in which size; `visit` when a visitor asks, who is counted, and not the photographer.

    `selection` narrows them to a visitor's favourites, `photo_id` to one photo. `strip` when originals must not tell
    about people.
    """

    gallery_id: uuid.UUID
    title: str
    size: Size
    visit: Visit | None = None
    selection: uuid.UUID | None = None
    strip: bool = False
    photo_id: uuid.UUID | None = None

    def plan(self, connection: Connection) -> Plan:
        """The archive of these photos. Raises NothingToDownload."""
        return plan_gallery(connection, self.gallery_id, self.size, self.selection, strip=self.strip)

    @property
    def scope(self) -> str:
        """Where the ticket of this archive is good: this link under its present policy, or the photographer's gallery.

        An archive of one link may hold what another, or the same under another policy, does not give.
        """
        if self.visit is None:
            return f"gallery/{self.gallery_id}"
        return f"link/{self.visit.share.id}/{self.visit.share.policy_version}"

    @property
    def filename(self) -> str:
        """What the archive is called."""
        return archive_name(self.title, self.size, picked=self.selection is not None)


def get_visitors_archive(visit: LiveVisit, selection: ChosenPhotos, size: SizeQuery = None) -> Wanted:
    """What a visitor may be told about. Raises PasswordRequired, DownloadsOff."""
    chosen: Size = size or ("web" if visit.share.download == "web" else "original")
    share = visit.admit(chosen)
    return Wanted(share.gallery_id, share.title, chosen, visit, selection, share.strip_metadata)


VisitorsArchive = Annotated[Wanted, Depends(get_visitors_archive)]


def get_visitors_bytes(visit: LiveVisit, wanted: VisitorsArchive) -> Wanted:
    """What a visitor may have. Raises PasswordRequired, DownloadsOff, NotForPreviews."""
    visit.admit_download(wanted.size)
    return wanted


VisitorsBytes = Annotated[Wanted, Depends(get_visitors_bytes)]


def get_own_archive(
    own: OwnGallery, connection: Db, selection: SelectionQuery = None, size: SizeQuery = None
) -> Wanted:
    """What the photographer may have: everything. Raises Unauthorized, NotFound."""
    return Wanted(
        own.gallery_id, own.title, size or "original", selection=of_gallery(connection, own.gallery_id, selection)
    )


OwnArchive = Annotated[Wanted, Depends(get_own_archive)]
