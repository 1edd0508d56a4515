"""What the host answers, as typed values."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

R = TypeVar("R")


class Status(str, enum.Enum):
    """Where a job is in its life."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    NEEDS_RECOVERY = "NEEDS_RECOVERY"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """Whether it stays so. ``NEEDS_RECOVERY`` does not: the job goes on, or runs again."""
        return self in _FINAL


_FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.TIMEOUT, Status.CANCELED})


@dataclass(frozen=True)
class Progress:
    """The countable part of what a job last reported."""

    phase: str | None = None
    completed: int | None = None
    total: int | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Job:
    """A job, as the host last knew it. Times are milliseconds UTC."""

    job_id: str
    job_name: str
    status: Status
    params: Any = None
    result: Any = None
    error_message: str | None = None
    retry_count: int = 0
    timeout: float | None = None
    creation_time: int | None = None
    last_update_time: int | None = None
    workspace: str | None = None
    executor_backend: str | None = None
    attempt: int = 0
    """Which try this is or was; 0 before the first."""
    started_at: int | None = None
    finished_at: int | None = None
    status_message: str | None = None
    progress: Progress | None = None
    progress_updated_at: int | None = None
    cancel_reason: dict[str, Any] | None = None
    priority: int | None = None
    creator: str | None = None
    due_at: int | None = None
    work: str | None = None
    """Whether something of it may still run, whatever its status: ``none``, ``maybe``, ``gone``."""

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Job:
        """Reads a job; fields of a newer host are ignored."""
        values = _known(cls, answer)
        values["status"] = Status(answer["status"])
        if answer.get("progress") is not None:
            values["progress"] = Progress(**_known(Progress, answer["progress"]))
        return cls(**values)


@dataclass(frozen=True)
class Submission:
    """A job to submit."""

    job_name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    """Seconds for an attempt, its set-up included; the job type's own if ``None``."""
    priority: int | None = None
    """1 is first, 4 is last; the job type's own if ``None``."""
    run_at: datetime | None = None
    """Not to be started before; must have a time zone."""
    workspace: str | None = None
    idempotency_key: str | None = None
    """Submitting the same key and content again gives the same job, not another one."""

    def to_request(self) -> dict[str, Any]:
        """What goes over the wire: only what was given.

        :raises ValueError: ``run_at`` has no time zone.
        """
        given = {name: value for name, value in vars(self).items() if value is not None}
        given["params"] = dict(self.params)
        if self.run_at is not None:
            if self.run_at.tzinfo is None:
                raise ValueError(f"run_at is {self.run_at.isoformat()}, which has no time zone")
            given["run_at"] = round(self.run_at.timestamp() * 1000)
        return given


@dataclass(frozen=True)
class Submitted:
    """What became of one of several submissions."""

    job_id: str
    created: bool
    """False if its idempotency key had a job already: this one."""

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Submitted:
        """Reads it; fields of a newer host are ignored."""
        return cls(**_known(cls, answer))


@dataclass(frozen=True)
class Page:
    """Some of the jobs that a search found."""

    jobs: Sequence[Job]
    next_page_token: str | None
    """Where to go on; ``None`` on the last page."""


def _known(cls: type[R], answer: Mapping[str, Any]) -> dict[str, Any]:
    return {part.name: answer[part.name] for part in fields(cls) if part.name in answer}  # type: ignore[arg-type]
