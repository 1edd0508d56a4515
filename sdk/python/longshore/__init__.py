"""Declare, run and submit Longshore jobs.

In a job: :func:`report_progress`, :func:`current_job`, :class:`TransientError`.
To declare one: :func:`job`. To submit one: :class:`longshore.client.Client`.
"""

from longshore.current import CurrentJob, current_job
from longshore.declaration import DeclarationError, PythonEnv, job
from longshore.errors import TransientError
from longshore.progress import report_progress

__all__ = [
    "CurrentJob",
    "DeclarationError",
    "PythonEnv",
    "TransientError",
    "current_job",
    "job",
    "report_progress",
]
