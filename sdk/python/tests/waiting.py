"""Waiting for a condition, with an end."""

from __future__ import annotations

import time
from typing import Callable


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Polls ``condition`` until it holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.01)
