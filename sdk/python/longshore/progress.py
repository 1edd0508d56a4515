"""``report_progress``: how far the work has got, for people who wait."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import threading
from typing import Union

from longshore.files import write_atomically

MESSAGE_LIMIT = 1000
"""Characters of a message; longer ones are cut."""
WORD_LIMIT = 100
"""Characters of a phase or a unit; longer ones are cut."""
COUNT_LIMIT = 2**63 - 1


class _Unset(enum.Enum):
    UNSET = enum.auto()


_UNSET = _Unset.UNSET
_Text = Union[str, None, _Unset]
_Count = Union[int, None, _Unset]

_message: _Text = _UNSET
_counts: dict[str, str | int | None] = {}
_lock = threading.Lock()


def _unlock_after_fork() -> None:
    # Another thread may have held the lock at the moment of the fork; the child does not have it.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock_after_fork)


def report_progress(
    message: _Text = _UNSET,
    *,
    phase: _Text = _UNSET,
    completed: _Count = _UNSET,
    total: _Count = _UNSET,
    unit: _Text = _UNSET,
) -> None:
    """Says how far the work has got. What is not given keeps its value, ``None`` clears it.

    Best effort: the latest report wins, nothing is raised when it cannot be delivered, and outside
    of a job nothing happens. A call writes a small file, a few tenths of a millisecond.

    :param message: what is going on, in a few words.
    :param phase: the step the work is in.
    :param completed: how many units are done; at most ``total``.
    :param total: how many units there are.
    :param unit: what is counted, in the plural: ``"traces"``.
    :raises TypeError: an argument has another type.
    :raises ValueError: a count is negative, or ``completed`` would be more than ``total``.
    """
    global _message
    given = {
        "phase": _text("phase", phase, WORD_LIMIT),
        "completed": _count("completed", completed),
        "total": _count("total", total),
        "unit": _text("unit", unit, WORD_LIMIT),
    }
    text = _text("message", message, MESSAGE_LIMIT)
    with _lock:
        counts = {
            **_counts,
            **{name: value for name, value in given.items() if not isinstance(value, _Unset)},
        }
        done, of = counts.get("completed"), counts.get("total")
        if isinstance(done, int) and isinstance(of, int) and done > of:
            raise ValueError(f"completed is {done} of a total of {of}; give both when both change")
        _counts.update(counts)
        if not isinstance(text, _Unset):
            _message = text
        _write()


def clear_progress() -> None:
    """Forgets everything reported so far, in this process and where it was reported."""
    global _message
    with _lock:
        _message = None
        _counts.clear()
        _counts["phase"] = None
        _write()


def _write() -> None:
    path = os.environ.get("LONGSHORE_PROGRESS")
    if not path:
        return
    # The file holds the latest report only, and its reader looks now and then. So it always holds
    # everything said so far: a report of one field must not hide the one before it.
    content: dict[str, object] = {}
    if not isinstance(_message, _Unset):
        content["message"] = _message
    if _counts:
        said = any(value is not None for value in _counts.values())
        content["progress"] = dict(_counts) if said else None
    with contextlib.suppress(OSError):
        write_atomically(path, json.dumps(content).encode(), durable=False)


def _text(name: str, value: _Text, limit: int) -> _Text:
    if value is None or isinstance(value, _Unset):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string or None, not {type(value).__name__}")
    # Text comes from data and is shown in terminals: no escape sequences, no halves of surrogate
    # pairs, no novels. None of this is worth failing a job for.
    printable = "".join(
        character if character.isprintable() else " " for character in value[:limit]
    )
    return printable


def _count(name: str, value: _Count) -> _Count:
    if value is None or isinstance(value, _Unset):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int or None, not {type(value).__name__}")
    if not 0 <= value <= COUNT_LIMIT:
        raise ValueError(f"{name} must be between 0 and {COUNT_LIMIT}, not {value}")
    return value
