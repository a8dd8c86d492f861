"""What each database role may do, table by table. A table without a row here fails a test.

The owner of the tables is no role of this list: the migration alone connects as the owner. Clauses are those of GRANT;
a list of columns in parentheses limits a clause to these. `SELECT … FOR UPDATE` needs UPDATE of any one column.
Foreign keys are checked, and rows are deleted with the rows that they refer to, by the owner's right.
"""

from collections.abc import Mapping

DATA = "safelight_data"
"""The photographer's functions, the sweep and the builder of archives."""
VISITS = "safelight_visits"
"""What a visitor does on a link, except ZIPs."""
DOWNLOADS = "safelight_downloads"
"""ZIPs and cut originals, for visitors and for the photographer, whose session or API key is recognised."""
PICTURES = "safelight_pictures"
"""The functions that open files from outside."""

SHARES: Mapping[str, int] = {DATA: 40, VISITS: 25, DOWNLOADS: 15, PICTURES: 15}
"""Percent of the server's connections that each role may have; the rest is for the owner and the operator."""

_ALL = "SELECT, INSERT, UPDATE, DELETE"
_FETCH = "SELECT, INSERT, UPDATE (at, asked_bytes, begun_at, formerly)"
_RECORD = (
    "SELECT (share_id, kind, rolled_up),"
    " INSERT (share_id, kind, photo_id, visitor, formerly, formerly_downloads, bytes_sent)"
)

GRANTS: Mapping[str, Mapping[str, str]] = {
    "analyses": {DATA: _ALL, PICTURES: "SELECT, INSERT, UPDATE (status, result, error, completed_at, updated_at)"},
    "api_keys": {
        DATA: _ALL,
        DOWNLOADS: "SELECT (id, user_id, key_hash, scopes, last_used_at, revoked_at), UPDATE (last_used_at)",
    },
    "archive_downloads": {DATA: _ALL, VISITS: _FETCH, DOWNLOADS: _FETCH},
    "archive_parts": {DATA: _ALL, DOWNLOADS: "SELECT"},
    "archives": {DATA: _ALL, DOWNLOADS: "SELECT, INSERT, UPDATE (used_at), DELETE"},
    "clean_originals": {
        DATA: _ALL,
        VISITS: "SELECT",
        DOWNLOADS: "SELECT",
        PICTURES: "SELECT, INSERT, DELETE",
    },
    "erasures": {DATA: _ALL},
    "events": {
        DATA: _ALL,
        VISITS: "SELECT (gallery_id, subject_id, event, data),"
        " INSERT (owner_id, gallery_id, event, subject_id, title, data), DELETE",
        PICTURES: "INSERT (owner_id, gallery_id, event, subject_id, title, data)",
    },
    "galleries": {
        DATA: _ALL,
        VISITS: "SELECT (id, owner_id, title, description, deleted_at)",
        DOWNLOADS: "SELECT",
        PICTURES: "SELECT (id, owner_id, deleted_at)",
    },
    "invitations": {DATA: _ALL},
    "jobs": {
        DATA: _ALL,
        DOWNLOADS: "SELECT (id, kind, subject_id, status), INSERT",
        PICTURES: "SELECT, INSERT,"
        " UPDATE (status, progress, attempts, fencing, payload, lease_until, error, run_after, claimed_at,"
        " started_at, finished_at)",
    },
    "photos": {
        DATA: _ALL,
        VISITS: "SELECT (id, gallery_id, filename, content_type, file_size, width, height, crc32, sha256, s3_key,"
        " etag, status, thumbhash, position, deleted_at)",
        DOWNLOADS: "SELECT (id, gallery_id, filename, content_type, file_size, crc32, sha256, s3_key, etag, status,"
        " taken_at, uploaded_at, created_at, position, deleted_at, damaged_at),"
        " UPDATE (damaged_at, damage_reason, updated_at)",
        PICTURES: "SELECT, UPDATE (status, failure_reason, damaged_at, damage_reason, width, height, thumbhash,"
        " taken_at, camera, sha256, crc32, etag, uploaded_at, updated_at)",
    },
    "refresh_tokens": {DATA: _ALL, DOWNLOADS: "SELECT (id, user_id, family_id, revoked_at)"},
    "renditions": {DATA: _ALL, VISITS: "SELECT", DOWNLOADS: "SELECT", PICTURES: "SELECT, INSERT, DELETE"},
    "reprocessings": {
        DATA: _ALL,
        PICTURES: "SELECT, UPDATE (status, total, done, failed, at_position, at_id, failures, error, completed_at,"
        " updated_at)",
    },
    "sandbox_reports": {DATA: _ALL, PICTURES: "SELECT, INSERT, UPDATE"},
    "selection_photos": {DATA: _ALL, VISITS: "SELECT, INSERT, DELETE", DOWNLOADS: "SELECT"},
    "selections": {
        DATA: _ALL,
        VISITS: "SELECT, INSERT (id, share_id, token_hash, visitor),"
        " UPDATE (name, email, note, submitted_at, updated_at)",
        DOWNLOADS: "SELECT (id, share_id, token_hash)",
    },
    "share_days": {DATA: _ALL},
    "share_events": {DATA: _ALL, VISITS: _RECORD, DOWNLOADS: _RECORD},
    # UPDATE (updated_at) is for the lock under which downloads and selections are counted.
    "share_links": {DATA: _ALL, VISITS: "SELECT, UPDATE (updated_at)", DOWNLOADS: "SELECT, UPDATE (updated_at)"},
    "storage_usage": {DATA: _ALL},
    "throttles": {
        DATA: _ALL,
        VISITS: "SELECT, INSERT, UPDATE (empty_at)",
        DOWNLOADS: "SELECT, INSERT, UPDATE (empty_at)",
    },
    "users": {
        DATA: _ALL,
        VISITS: "SELECT (id, is_active)",
        DOWNLOADS: "SELECT (id, is_active, is_admin, deleted_at)",
    },
    "visitor_salts": {DATA: _ALL, VISITS: "SELECT, INSERT", DOWNLOADS: "SELECT, INSERT"},
}
