"""Which job this process belongs to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class CurrentJob:
    """The job and the attempt that this process works for."""

    id: str
    attempt: int
    """Which try this is, counted from 1."""
    tag: str
    """Identifies the attempt; safe to use in the names of what the attempt creates."""
    workspace: str


def current_job() -> CurrentJob | None:
    """Returns the job that this process runs, or ``None`` outside of a job."""
    path = os.environ.get("LONGSHORE_JOB")
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
        return CurrentJob(
            id=str(fields["job_id"]),
            attempt=int(fields["attempt"]),
            tag=str(fields["attempt_tag"]),
            workspace=str(fields["workspace"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        # A process that outlived its attempt's directory is not in a job any more.
        return None
