"""Declare, run and submit Longshore jobs.

In a job: :func:`report_progress`, :func:`current_job`, :class:`TransientError`.
To declare one: :func:`job`. To submit one: :class:`Client`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.current import CurrentJob, current_job
from longshore.declaration import DeclarationError, PythonEnv, job
from longshore.errors import TransientError
from longshore.progress import report_progress

if TYPE_CHECKING:
    from longshore.client import ApiError, Client, ClientError, Unreachable, WaitTimeout
    from longshore.records import Job, Page, Progress, Status, Submission, Submitted

__all__ = [
    "ApiError",
    "Client",
    "ClientError",
    "CurrentJob",
    "DeclarationError",
    "Job",
    "Page",
    "Progress",
    "PythonEnv",
    "Status",
    "Submission",
    "Submitted",
    "TransientError",
    "Unreachable",
    "WaitTimeout",
    "current_job",
    "job",
    "report_progress",
]


def __getattr__(name: str) -> Any:
    # Every job imports this package and next to none submits jobs: HTTP is loaded when asked for.
    if name in __all__:
        from longshore import client, records

        return getattr(client if hasattr(client, name) else records, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
