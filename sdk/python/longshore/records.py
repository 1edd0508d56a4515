"""What the host answers, as typed values."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
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
    """A job, as the host last knew it. Times are what the host sends, unchanged."""

    job_id: str
    job_name: str
    status: Status
    params: Any = None
    result: Any = None
    error_message: str | None = None
    retry_count: int = 0
    timeout: float | None = None
    creation_time: Any = None
    last_update_time: Any = None
    workspace: str | None = None
    executor_backend: str | None = None
    attempt: int = 0
    started_at: Any = None
    finished_at: Any = None
    status_message: str | None = None
    progress: Progress | None = None
    progress_updated_at: Any = None
    cancel_reason: Any = None

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
    """Seconds; the job type's own if ``None``."""
    priority: int | str | None = None
    run_at: Any = None
    """When it is due; at once if ``None``."""
    workspace: str | None = None
    idempotency_key: str | None = None
    """Submitting the same key again gives the same job, not another one."""

    def to_request(self) -> dict[str, Any]:
        """What goes over the wire: only what was given."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return {**given, "params": dict(self.params)}


@dataclass(frozen=True)
class Page:
    """Some of the jobs that a search found."""

    jobs: Sequence[Job]
    next_page_token: str | None
    """Where to go on; ``None`` on the last page."""


@dataclass(frozen=True)
class LogChunk:
    """A piece of a job's output."""

    offset: int
    text: str
    next_offset: int
    """Where to ask next."""
    end: bool
    """Whether the job has ended and this is its last output."""

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> LogChunk:
        """Reads a piece; fields of a newer host are ignored."""
        return cls(**_known(cls, answer))


def _known(cls: type[R], answer: Mapping[str, Any]) -> dict[str, Any]:
    return {part.name: answer[part.name] for part in fields(cls) if part.name in answer}  # type: ignore[arg-type]
