"""Prometheus text, computed from the database: right from whichever process answers."""

from sqlalchemy.orm import Session

from safelight.jobs import service as jobs
from safelight.photos import service as photos

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(session: Session) -> str:
    """The exposition (prometheus.io/docs/instrumenting/exposition_formats)."""
    lines = ["# HELP safelight_photos Photos by status.", "# TYPE safelight_photos gauge"]
    for status, count in sorted(photos.counts(session).items()):
        lines.append(f'safelight_photos{{status="{status}"}} {count}')
    lines += ["# HELP safelight_jobs Jobs by kind and status.", "# TYPE safelight_jobs gauge"]
    for (kind, status), count in sorted(jobs.counts(session).items()):
        lines.append(f'safelight_jobs{{kind="{kind}",status="{status}"}} {count}')
    waiting = jobs.oldest_due_seconds(session)
    lines += ["# HELP safelight_jobs_oldest_due_seconds How long the oldest due job has waited."]
    lines += ["# TYPE safelight_jobs_oldest_due_seconds gauge", f"safelight_jobs_oldest_due_seconds {waiting:.3f}"]
    return "\n".join(lines) + "\n"
