"""A visitor's favourites on one link. SQL goes straight through the driver, as in `visits`.

- Nobody needs an account: the first favourite begins a selection and gives the visitor a token of 256 random bits for a
  cookie. Only its SHA-256 is stored, and it means nothing on another link.
- Only what the link shows counts. A photo that is deleted is no favourite from that moment on, and its place is free.
- A link may limit how many photos each visitor picks. The selection's row is locked while one is added, so the limit
  holds however many requests come at once.
- Submitting closes nothing: a visitor may go on picking and submit again for as long as the link lives. The
  photographer always sees the present picks, when they were last submitted and when they were last changed.
- However often that is, the photographer's feed has one event for each selection, the last. The same again within an
  hour is no news.
- How many selections may be begun in a day is bounded, for each address (`limits.BEGIN_HERE`) and for the link. A
  browser that keeps its cookie begins one. How many people an address stands for cannot be known, so there is no limit
  for each program at an address: guests with the same telephone are as many programs as one.
"""

import datetime as dt
import hashlib
import secrets
import uuid
from dataclasses import dataclass

from pg8000.native import Connection

from safelight.errors import Conflict, NotFound, TooManyRequests
from safelight.events import outbox
from safelight.shares import limits
from safelight.shares.visits import Share

PER_LINK = 1000
"""How many selections may be begun on a link within 24 hours."""

NO_NEWS = 60 * 60
"""Seconds in which a submission that is the same as the last one is not told again."""

# Seconds until one more may be begun, null when one may: until the one that fills the limit is a day old.
_WAIT = """
    SELECT ceil(extract(epoch FROM (
        SELECT created_at + interval '1 day' FROM selections
        WHERE share_id = :share AND created_at > now() - interval '1 day'
        ORDER BY created_at DESC OFFSET :before LIMIT 1
    ) - clock_timestamp()))::int
"""


class FavouritesFull(Conflict):
    code = "favourites_full"
    title = "No more favourites can be picked here"


class NothingPicked(Conflict):
    code = "nothing_picked"
    title = "Pick some favourites first"


@dataclass(frozen=True, slots=True)
class Picked:
    """A change's outcome: how many favourites there are now, and the token of a selection that was just begun."""

    count: int
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Beginner:
    """Who may begin a selection: the address is only hashed, with the secret."""

    ip: str | None
    secret: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What a visitor says with a submission."""

    name: str | None
    email: str | None
    note: str


def add(connection: Connection, share: Share, token: str | None, who: Beginner, photo_id: uuid.UUID) -> Picked:
    """Make a photo a favourite; it may be one already.

    Raises NotFound when the link does not show it, FavouritesFull, TooManyRequests; each must undo the transaction.
    """
    selection, begun = _lock(connection, share, token), None
    if selection is None:
        selection, begun = _begin(connection, share, who)
    [[shown, had, others, added]] = connection.run(
        "WITH picked AS (SELECT s.photo_id FROM selection_photos s JOIN photos p ON p.id = s.photo_id"
        "  WHERE s.selection_id = :selection AND p.gallery_id = :gallery AND p.status = 'ready'"
        "  AND p.deleted_at IS NULL),"
        " wanted AS (SELECT p.id FROM photos p WHERE p.id = cast(:photo AS uuid) AND p.gallery_id = :gallery"
        "  AND p.status = 'ready' AND p.deleted_at IS NULL),"
        " added AS (INSERT INTO selection_photos (selection_id, photo_id)"
        "  SELECT :selection, id FROM wanted"
        "  WHERE cast(:most AS int) IS NULL OR (SELECT count(*) FROM picked) < cast(:most AS int)"
        "  ON CONFLICT DO NOTHING RETURNING 1),"
        " touched AS (UPDATE selections SET updated_at = now() WHERE id = :selection AND EXISTS (SELECT FROM added))"
        " SELECT EXISTS (SELECT FROM wanted), EXISTS (SELECT FROM picked WHERE photo_id = cast(:photo AS uuid)),"
        "  (SELECT count(*) FROM picked), (SELECT count(*) FROM added)",
        selection=selection,
        gallery=share.gallery_id,
        photo=str(photo_id),
        most=share.max_favourites,
    )
    if not shown:
        raise NotFound
    if not had and not added:
        raise FavouritesFull(f"You have picked {others} of {share.max_favourites}. Take one back to pick another.")
    return Picked(others + added, begun)


def remove(connection: Connection, share: Share, token: str | None, photo_id: uuid.UUID) -> Picked:
    """Take a favourite back; it need not be one. Raises NotFound when the link does not show the photo."""
    selection = _lock(connection, share, token)
    [[shown, others]] = connection.run(
        "WITH removed AS (DELETE FROM selection_photos"
        "  WHERE selection_id = cast(:selection AS uuid) AND photo_id = cast(:photo AS uuid) RETURNING 1),"
        " touched AS (UPDATE selections SET updated_at = now()"
        "  WHERE id = cast(:selection AS uuid) AND EXISTS (SELECT FROM removed))"
        " SELECT EXISTS (SELECT FROM photos p WHERE p.id = cast(:photo AS uuid) AND p.gallery_id = :gallery"
        "  AND p.status = 'ready' AND p.deleted_at IS NULL),"
        "  (SELECT count(*) FROM selection_photos s JOIN photos p ON p.id = s.photo_id"
        "   WHERE s.selection_id = cast(:selection AS uuid) AND s.photo_id <> cast(:photo AS uuid)"
        "  AND p.gallery_id = :gallery AND p.status = 'ready' AND p.deleted_at IS NULL)",
        selection=str(selection) if selection else None,
        gallery=share.gallery_id,
        photo=str(photo_id),
    )
    if not shown:
        raise NotFound
    return Picked(others)


def listing(connection: Connection, share: Share, token: str | None) -> bytes:
    """The visitor's selection as JSON: its photos in the gallery's order, the limit, and what was submitted."""
    [[listed]] = connection.run(
        "SELECT json_build_object('selection_id', s.id, 'photo_ids', coalesce(picked.ids, '[]'::json),"
        "  'count', coalesce(json_array_length(picked.ids), 0), 'limit', cast(:most AS int),"
        "  'submitted_at', s.submitted_at, 'note', coalesce(s.note, ''), 'name', s.name)::text"
        " FROM (SELECT 1) AS always"
        " LEFT JOIN selections s ON s.token_hash = cast(:hash AS bytea) AND s.share_id = :share"
        " LEFT JOIN LATERAL (SELECT json_agg(p.id ORDER BY p.position, p.id) AS ids"
        "  FROM selection_photos f JOIN photos p ON p.id = f.photo_id"
        "  WHERE f.selection_id = s.id AND p.gallery_id = :gallery AND p.status = 'ready'"
        "  AND p.deleted_at IS NULL) AS picked ON true",
        hash=_hash(token),
        share=share.id,
        gallery=share.gallery_id,
        most=share.max_favourites,
    )
    return str(listed).encode()


def submit(connection: Connection, share: Share, token: str | None, given: Submission) -> dt.datetime:
    """Tell the photographer that this is the choice; again and again, the last one counts. Raises NothingPicked."""
    selection = _lock(connection, share, token)
    rows = connection.run(
        "UPDATE selections s SET name = cast(:name AS text), email = cast(:email AS text), note = cast(:note AS text),"
        "  submitted_at = now(), updated_at = now() FROM selections AS before"
        " WHERE s.id = cast(:selection AS uuid) AND before.id = s.id AND EXISTS (SELECT FROM selection_photos f"
        "  JOIN photos p ON p.id = f.photo_id WHERE f.selection_id = cast(:selection AS uuid)"
        "  AND p.gallery_id = :gallery AND p.status = 'ready' AND p.deleted_at IS NULL)"
        # Equal times: nothing was picked or taken back since. Which of two is later would not tell, for a transaction
        # that waited for the lock writes the time at which it began.
        " RETURNING s.submitted_at, before.updated_at = before.submitted_at"
        "  AND before.submitted_at > now() - make_interval(secs => :no_news)"
        "  AND (before.name, before.email, before.note) IS NOT DISTINCT FROM (s.name, s.email, s.note)",
        selection=str(selection) if selection else None,
        gallery=share.gallery_id,
        name=given.name,
        email=given.email,
        note=given.note,
        no_news=NO_NEWS,
    )
    if not rows:
        raise NothingPicked
    [[submitted_at, known]] = rows
    if not known:
        told = {"share_id": str(share.id), "selection_id": str(selection)}
        outbox.tell_again(
            connection.run, "selection_submitted", share.gallery_id, share.gallery_id, share.title, **told
        )
    at: dt.datetime = submitted_at
    return at


def own(connection: Connection, share: Share, token: str | None) -> uuid.UUID | None:
    """The selection of this visitor's token on this link."""
    rows = connection.run(
        "SELECT id FROM selections WHERE token_hash = cast(:hash AS bytea) AND share_id = :share",
        hash=_hash(token),
        share=share.id,
    )
    return rows[0][0] if rows else None


def named(connection: Connection, share: Share, reference: str) -> uuid.UUID:
    """The selection of this id on this link. Raises NotFound; what is no id is answered alike.

    Whoever has the id (random, 122 bits) need not be the one who picked: the link shows these photos anyway.
    """
    rows = connection.run(
        "SELECT id FROM selections WHERE id = cast(:id AS uuid) AND share_id = :share",
        id=_id(reference),
        share=share.id,
    )
    if not rows:
        raise NotFound
    found: uuid.UUID = rows[0][0]
    return found


def in_gallery(connection: Connection, gallery_id: uuid.UUID, reference: str) -> uuid.UUID:
    """The selection of this id on any link of a gallery, for its photographer. Raises NotFound."""
    rows = connection.run(
        "SELECT s.id FROM selections s JOIN share_links l ON l.id = s.share_id"
        " WHERE s.id = cast(:id AS uuid) AND l.gallery_id = :gallery",
        id=_id(reference),
        gallery=gallery_id,
    )
    if not rows:
        raise NotFound
    found: uuid.UUID = rows[0][0]
    return found


def _id(reference: str) -> str:
    try:
        return str(uuid.UUID(reference))
    except ValueError:
        raise NotFound from None


def _hash(token: str | None) -> bytes | None:
    # A token of 256 random bits needs no slow hash.
    return None if token is None else hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _lock(connection: Connection, share: Share, token: str | None) -> uuid.UUID | None:
    # One visitor's changes queue here: "count, then add one" is a single step. Others are not held up, and each
    # statement after this one sees what the last holder committed (READ COMMITTED).
    if token is None:
        return None
    rows = connection.run(
        "SELECT id FROM selections WHERE token_hash = :hash AND share_id = :share FOR NO KEY UPDATE",
        hash=_hash(token),
        share=share.id,
    )
    return rows[0][0] if rows else None


def _begin(connection: Connection, share: Share, who: Beginner) -> tuple[uuid.UUID, str]:
    # The link's row is locked as in `visits`, so that parallel beginnings are counted one after the other.
    connection.run("SELECT 1 FROM share_links WHERE id = :share FOR NO KEY UPDATE", share=share.id)
    [[wait]] = connection.run(_WAIT, share=share.id, before=PER_LINK - 1)
    if wait is not None:
        raise TooManyRequests(
            "Too many lists of favourites were begun here today. Try again later.", retry_after=max(wait, 1)
        )
    limits.begin_selection(connection, who.secret, who.ip, share.id)
    selection, token = uuid.uuid4(), secrets.token_urlsafe(32)
    connection.run(
        "INSERT INTO selections (id, share_id, token_hash, visitor) VALUES (:id, :share, :hash, '')",
        id=selection,
        share=share.id,
        hash=_hash(token),
    )
    return selection, token
