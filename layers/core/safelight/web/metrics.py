"""Prometheus text, computed from the database: right from whichever process answers."""

from sqlalchemy.orm import Session

from safelight.jobs import service as jobs
from safelight.photos import service as photos
from safelight.sandboxes import reports
from safelight.sandboxes.reports import Report

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
    lines += _sandboxes(reports.everything(session))
    return "\n".join(lines) + "\n"


def _sandboxes(found: list[Report]) -> list[str]:
    lines = ["# HELP safelight_sandbox_ok Whether a worker confines the processes that open photos; 0: photos wait."]
    lines.append("# TYPE safelight_sandbox_ok gauge")
    for report in found:
        if report.fresh:
            labels = f'worker="{_label(report.worker)}",state="{report.state}"'
            lines.append(f"safelight_sandbox_ok{{{labels}}} {int(report.state != 'missing')}")
    lines.append("# HELP safelight_sandbox_violations_total Files that made their process try to break out.")
    lines.append("# TYPE safelight_sandbox_violations_total counter")
    counted = "safelight_sandbox_violations_total"
    lines += [f'{counted}{{worker="{_label(report.worker)}"}} {report.violations}' for report in found]
    return lines


def _label(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
