"""What one download is; the only place that counts it.

- A download is one visitor's fetching of one file of one link: an archive (the same photos in the same size), or a
  photo. A visitor is who `visitors` says: the cookie's owner, or else a program at an address.
- A visitor's first download is counted before they have the cookie, which comes with its answer. The cookie says under
  which hash, and later requests with it carry that download on. So they do with other downloads under that hash that
  began before the cookie was given or within `MEANWHILE` seconds after: a program asks for several files at once, and
  keeps the cookie of one answer.
- Programs such as wget and aria2 lose the cookie when they end. So a download that one of them began with the cookie
  also names today's hash without it, and a request without a cookie carries it on. Those of a browser that was given
  the cookie before its first download (`web.meeting`) do not.
- A visitor's first request for a file starts a download, with or without a Range, whichever of its parallel segments
  comes first: skipping the first byte is no way around a limit. Every later one carries it on.
- Asking for the whole file again carries it on, too. Whether the bytes of the one before arrived cannot be seen here:
  they may lie in buffers of either side, a proxy may have lost them, and the bucket tells nobody. Programs resume that
  way, too: the first request of aria2 always asks for the whole.
- A download is carried on until the day after it began ends (UTC), so for 24 hours at least: a visitor is looked for
  under the hash of today and of yesterday.
- It is carried on for `COPIES` times its bytes. They are summed up as they are asked for, and what the server could
  not hand over is taken off again; whoever asks for more has begun another download.
- A Range of the first one or two bytes is a probe: it is answered with just these and counts nothing. Nor does HEAD, a
  202 while the archive is being put together, or a 416, and none of them leads to the bytes.
- A signed address of the bucket gives a whole file whatever was asked for. A photo's is therefore only for who asks
  for the whole; its parts come from the streaming function, to the byte (`web.keeping`). An archive's is charged as a
  sixteenth of it at least, so that a download is carried on with 160 of them at most.
- Known link previews and crawlers, and browsers that load ahead, count nothing, views included, and get no download
  (`automatic`), so that calling oneself one is no way around a limit either. A request without a User-Agent is a
  visitor's: people remove the header, and proxies do.
- A limit is checked when a download starts, under the link's row lock; one that carries on is never cut off by it.
  Whoever could start none is told so before an archive is put together (`check`).

Why ten: each resume asks for all that is left, so a line that breaks six times near the beginning asks for seven,
behind a proxy that took the bytes and lost them; a program with sixteen connections to the end, one behind the other,
asks for eight and a half. A resume that is refused is worse than a copy too many for one who asks again and again.

First requests that come at the same moment before and after midnight may be two downloads: if the later one is counted
first, the earlier one cannot know its hash. Bytes that a killed process did not send stay charged. Fetches from a
signed bucket address cannot be counted.
"""

import datetime as dt
import hashlib
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from pg8000.native import Connection

from safelight.errors import Forbidden
from safelight.shares import visits
from safelight.shares.visitors import Identity
from safelight.shares.visits import Share

# How many times its bytes a download may ask for; see above.
COPIES = 10

# Seconds for which requests without a cookie may be under way after its owner was given it.
MEANWHILE = 60

# Who follows a link without a person wanting it: previews of messengers and mail, crawlers. A visitor's own download
# manager (curl, wget, aria2) is none of them.
#
# First what such programs call themselves in general, then names that say nothing of it. Words are bounded by what else
# they occur in: Cubot makes telephones, `fetch` is FreeBSD's curl. Names that are an app's too count only in front: its
# previews begin with them (`WhatsApp/2.23`), while the browser in the app, with a person before it, begins with
# `Mozilla/5.0` and names the app behind that.
_AUTOMATIC = re.compile(
    r"^\s*(?:pinterest|viber|whatsapp|(?:http\.rb/\S+ \()?mastodon|tumblr)(?![a-z])"
    r"|(?<!cu)bots?(?![a-z])|crawl|spider|scrap(?:er|y|ing)|unfurl|slurp|fetch(?:er|or|bot)"
    r"|(?:link|url|uri|site)[ -]?check"
    r"|(?:link|uri|url|page|site|web|message|bing|microsoft)[ _-]?preview|preview(?:er|bot|service)|ia_archiver"
    r"|facebookexternalhit|facebot|meta-external|slackbot|slack-imgproxy|twitterbot|telegrambot|discordbot"
    r"|linkedinbot|skypeuripreview|microsoftpreview|bitlybot|redditbot|embedly|iframely|pinterestbot"
    r"|applebot|googlebot|google-inspectiontool|googleother|google-safety|googleproducer|bingbot|bingpreview|yandexbot"
    r"|baiduspider|duckduckbot|petalbot|ahrefsbot|semrushbot|mj12bot|gptbot|ccbot|claudebot|bytespider|amazonbot"
    r"|barracudacentral|dataprovider",
    re.IGNORECASE,
)


class NotForPreviews(Forbidden):
    code = "not_for_previews"
    title = "Downloads are for people, not for link previews and crawlers"


def automatic(user_agent: str | None, purposes: Iterable[str] = ()) -> bool:
    """Whether a known link preview or crawler asks, or a browser that loads ahead.

    `purposes` are the values of `Sec-Purpose` (Fetch Standard) and its forerunners `Purpose` and `X-Purpose`, `X-Moz`.
    """
    if _AUTOMATIC.search(user_agent or "") is not None:
        return True
    return any(word in ("prefetch", "preview", "prerender") for value in purposes for word in _words(value))


def _words(value: str) -> list[str]:
    return [word.strip().lower() for word in re.split(r"[;,]", value)]


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a link, and `who` fetches it `now`.

    `file` names it (an archive's digest, or one photo's file, then with `photo_id`); `size` is its bytes.
    """

    share: Share
    who: Identity
    now: dt.datetime
    file: str
    size: int
    photo_id: uuid.UUID | None = None


def begin(connection: Connection, item: Item, asked: int) -> bytes:
    """Count a request for `asked` bytes unless it carries a download on.

    The hash by which a request without a cookie finds the download; for a browser's cookie, that under which it is
    counted.
    Raises DownloadLimitReached, which must undo the transaction.
    """
    _lock(connection, item)
    for visitor, before, formerly in connection.run(_LATEST + " FOR UPDATE", **_key(item)):
        if before + asked <= COPIES * item.size:
            connection.run(
                "UPDATE archive_downloads SET at = now(), asked_bytes = asked_bytes + cast(:asked AS bigint)"
                " WHERE share_id = :share AND visitor = :visitor AND archive = :file",
                share=item.share.id,
                visitor=visitor,
                file=item.file,
                asked=asked,
            )
            return bytes(formerly or visitor)
    connection.run(
        "INSERT INTO archive_downloads (share_id, visitor, archive, asked_bytes, begun_at, formerly)"
        " VALUES (:share, :visitor, :file, :asked, :now, :formerly) ON CONFLICT (share_id, visitor, archive)"
        " DO UPDATE SET at = now(), asked_bytes = excluded.asked_bytes, begun_at = excluded.begun_at,"
        "  formerly = excluded.formerly",
        share=item.share.id,
        visitor=item.who.today,
        file=item.file,
        asked=asked,
        now=item.now,
        formerly=item.who.alone,
    )
    who = item.who
    visits.record(
        connection,
        item.share,
        "single_download" if item.photo_id else "zip_download",
        who.today,
        formerly=who.formerly,
        formerly_downloads=who.formerly_downloads,
        photo_id=item.photo_id,
        bytes_sent=item.size,
    )
    return who.today


def check(connection: Connection, item: Item) -> None:
    """Whether there is anything to be had: a download to begin, or one of theirs to carry on. Takes none.

    Raises DownloadLimitReached.
    """
    if item.share.max_downloads is None or visits.used(connection, item.share) < item.share.max_downloads:
        return
    found = connection.run(_LATEST, **_key(item))
    if not found or found[0][1] >= COPIES * item.size:
        raise visits.DownloadLimitReached


def broke_off(connection: Connection, item: Item, unsent: int) -> None:
    """The answer ended `unsent` bytes before its end: they were asked for in vain."""
    for [visitor, *_] in connection.run(_LATEST + " FOR UPDATE", **_key(item)):
        connection.run(
            "UPDATE archive_downloads SET at = now(),"
            " asked_bytes = greatest(asked_bytes - cast(:unsent AS bigint), 0)"
            " WHERE share_id = :share AND visitor = :visitor AND archive = :file",
            share=item.share.id,
            visitor=visitor,
            file=item.file,
            unsent=unsent,
        )


# The visitor's download of the file: today's, or else yesterday's, or else one that they began without the cookie, or
# with one that they have no longer.
_LATEST = (
    "SELECT visitor, asked_bytes, formerly FROM archive_downloads"
    " WHERE share_id = :share AND archive = :file AND (visitor IN (:today, :yesterday)"
    "  OR (visitor = ANY(cast(:shared AS bytea[])) OR formerly = ANY(cast(:shared AS bytea[])))"
    "   AND begun_at BETWEEN cast(:since AS timestamptz) AND coalesce(cast(:until AS timestamptz), 'infinity'))"
    " ORDER BY visitor = :today DESC, visitor = :yesterday DESC, formerly IS NULL DESC, begun_at DESC, visitor LIMIT 1"
)


def _key(item: Item) -> dict[str, object]:
    yesterday = item.now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0) - dt.timedelta(days=1)
    until = item.who.until
    return {
        "share": item.share.id,
        "file": item.file,
        "today": item.who.today,
        "yesterday": item.who.yesterday,
        "shared": list(item.who.shared),
        "since": yesterday,
        "until": until + dt.timedelta(seconds=MEANWHILE) if until else None,
    }


def _lock(connection: Connection, item: Item) -> None:
    # Parallel first requests wait here for one another, those of just before midnight and just after it too, with and
    # without their cookie: each takes the locks of all its hashes, in one order, so that no two wait in a circle.
    hashes = {item.who.today, item.who.yesterday, *item.who.shared}
    connection.run(
        "SELECT pg_advisory_xact_lock(key) FROM unnest(cast(:keys AS bigint[])) AS key",
        keys=sorted(_lock_key(item, visitor) for visitor in hashes),
    )


def _lock_key(item: Item, visitor: bytes) -> int:
    name = item.share.id.bytes + visitor + item.file.encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)
