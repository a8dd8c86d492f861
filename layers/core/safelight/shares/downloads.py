"""What one download of an archive is; the only place that counts it.

- A download is one visitor's fetching of one archive (the same photos in the same size) of one link. A visitor is the
  day's salted hash of address and program (`visits.Visitor`).
- A request for the whole archive starts a download. It carries an earlier one on when that one, used within the last
  hour, is known to have broken off, or when the archive lies in the bucket, where nobody sees whether it did.
- A request with a Range belongs to the visitor's download of the last hour, whichever of its parallel segments comes
  first. Only when there is none does it start one: skipping the first byte is no way around a limit.
- A Range of the first one or two bytes is a probe and counts nothing; nor does HEAD, a 202 while the archive is being
  put together, or a 416.
- Link previews and crawlers count nothing, views included, and get no download (`automatic`), so that calling oneself
  one is no way around a limit either.
- One photo's file that is cut on the way is counted like an archive, as a single download. One that lies in the bucket
  is counted where its address is given (`visits.download`).
- A limit is checked when a download starts, under the link's row lock; one that carries on is never cut off by it.

That a download broke off is noted when the server could not hand over the last byte. Bytes lost behind that, in a
proxy, or with a process that was killed, are not seen: continued with a Range such a download is still the same one,
started from the beginning it is a second one.
"""

import re
import uuid

from pg8000.native import Connection

from safelight.errors import Forbidden
from safelight.shares import visits
from safelight.shares.visits import Share

# Seconds after its last request within which a download can be carried on.
CARRIED_ON = 3600
PROBE_BYTES = 2

# Who follows a link without a person wanting it: previews of messengers and mail, crawlers. A visitor's own download
# manager (curl, wget, aria2) is none of them.
_AUTOMATIC = re.compile(
    r"facebookexternalhit|facebot|meta-external|whatsapp|slackbot|slack-imgproxy|twitterbot|telegrambot|discordbot"
    r"|linkedinbot|pinterest|skypeuripreview|microsoftpreview|bitlybot|redditbot|embedly|iframely|mastodon|viber"
    r"|applebot|googlebot|google-inspectiontool|googleother|bingbot|bingpreview|yandexbot|baiduspider|duckduckbot"
    r"|petalbot|ahrefsbot|semrushbot|mj12bot|gptbot|ccbot|claudebot|bytespider|amazonbot",
    re.IGNORECASE,
)


class NotForPreviews(Forbidden):
    code = "not_for_previews"
    title = "Downloads are for people, not for link previews"


def automatic(user_agent: str | None) -> bool:
    """Whether this program says that it is a link preview or a crawler."""
    return user_agent is not None and _AUTOMATIC.search(user_agent) is not None


def begin(
    connection: Connection,
    share: Share,
    visitor: bytes,
    archive: str,
    *,
    size: int,
    ranged: bool,
    unseen: bool,
    photo_id: uuid.UUID | None = None,
) -> bool:
    """Count a request for bytes of an archive unless it carries a download on; whether it was counted.

    `archive` names the archive (its digest), or one photo's file, with `photo_id`; `size` is its bytes, `ranged` when
    the answer will be a part, `unseen` when the bucket sends it. Raises DownloadLimitReached, which must undo the
    transaction.
    """
    key = {"share": share.id, "visitor": visitor, "archive": archive}
    # Parallel first requests wait here for one another: the row is there before it is committed.
    new = connection.run(
        "INSERT INTO archive_downloads (share_id, visitor, archive) VALUES (:share, :visitor, :archive)"
        " ON CONFLICT DO NOTHING RETURNING 1",
        **key,
    )
    if not new and _carries_on(connection, key, ranged=ranged, unseen=unseen):
        return False
    kind: visits.Kind = "single_download" if photo_id else "zip_download"
    visits.record(connection, share, kind, visitor, photo_id=photo_id, bytes_sent=size)
    return True


def broke_off(connection: Connection, share: Share, visitor: bytes, archive: str) -> None:
    """The answer ended before its last byte: what comes next is the same download."""
    connection.run(
        "UPDATE archive_downloads SET broken = true, at = now()"
        " WHERE share_id = :share AND visitor = :visitor AND archive = :archive",
        share=share.id,
        visitor=visitor,
        archive=archive,
    )


def _carries_on(connection: Connection, key: dict[str, object], *, ranged: bool, unseen: bool) -> bool:
    [[recent, broken]] = connection.run(
        "SELECT at > now() - make_interval(secs => :seconds), broken FROM archive_downloads"
        " WHERE share_id = :share AND visitor = :visitor AND archive = :archive FOR UPDATE",
        seconds=CARRIED_ON,
        **key,
    )
    same = bool(recent and (ranged or broken or unseen))
    # A segment says nothing about the others, so it leaves `broken` as it is.
    connection.run(
        "UPDATE archive_downloads SET at = now(), broken = broken AND cast(:keep as boolean)"
        " WHERE share_id = :share AND visitor = :visitor AND archive = :archive",
        keep=same and ranged,
        **key,
    )
    return same
