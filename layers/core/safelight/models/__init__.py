"""The tables, all in one room so that migrations see every one and relationships make no import cycles."""

from safelight.models.account import ApiKey, Invitation, RefreshToken, StorageUsage, User
from safelight.models.analysis import Analysis
from safelight.models.archive import Archive, ArchivePart
from safelight.models.base import Base
from safelight.models.erasure import Erasure
from safelight.models.event import Event
from safelight.models.gallery import CleanOriginal, Gallery, Photo, Rendition
from safelight.models.job import Job
from safelight.models.reprocessing import Reprocessing
from safelight.models.sandbox import SandboxReport
from safelight.models.selection import Selection, SelectionPhoto
from safelight.models.share import ArchiveDownload, ShareDay, ShareEvent, ShareLink, VisitorSalt
from safelight.models.throttle import Throttle

__all__ = [
    "Analysis",
    "ApiKey",
    "Archive",
    "ArchiveDownload",
    "ArchivePart",
    "Base",
    "CleanOriginal",
    "Erasure",
    "Event",
    "Gallery",
    "Invitation",
    "Job",
    "Photo",
    "RefreshToken",
    "Rendition",
    "Reprocessing",
    "SandboxReport",
    "Selection",
    "SelectionPhoto",
    "ShareDay",
    "ShareEvent",
    "ShareLink",
    "StorageUsage",
    "Throttle",
    "User",
    "VisitorSalt",
]
