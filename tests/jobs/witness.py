"""Jobs that write down what they do."""

from __future__ import annotations

import os
import sys
import time

from longshore import job, report_progress


def note(deed: str) -> None:
    """One line, in one write: the file's order is the order of what happened."""
    words = [deed] + [os.environ[name] for name in ("LONGSHORE_JOB_ID", "LONGSHORE_ATTEMPT", "HOST_RUN")]
    file = os.open(os.environ["HISTORY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, (" ".join(words) + "\n").encode())
    finally:
        os.close(file)


def wait_for(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.02)


@job(name="count", max_workers=3, timeout=90, exclusive=["gate"])
def count(to: int, gate: str) -> dict[str, int]:
    """Counts; goes on from the middle when the file `gate` is there."""
    note("start")
    print(f"counting to {to}", file=sys.stderr)
    report_progress("halfway", phase="count", completed=to // 2, total=to, unit="steps")
    wait_for(gate)
    report_progress("done", completed=to)
    note("end")
    return {"counted": to}


def witnessed(seconds: float) -> str:
    """Not decorated: a plain function, named in the configuration."""
    note("start")
    time.sleep(seconds)
    note("end")
    return os.environ["LONGSHORE_JOB_ID"]


def large(size: int) -> str:
    return "x" * size


def measure(text: str) -> dict[str, int]:
    return {"length": len(text), "environment": sum(map(len, os.environ.values())), "arguments": sum(map(len, sys.argv))}


class Flaky(Exception):
    """Declared as transient."""


class FlakierStill(Flaky):
    """Not declared; its base is."""


def fail(kind: str, succeed_at: int = 99) -> int:
    note("start")
    attempt = int(os.environ["LONGSHORE_ATTEMPT"])
    note("end")
    if attempt >= succeed_at:
        return attempt
    raise {"transient": Flaky, "derived": FlakierStill, "permanent": ValueError}[kind](f"attempt {attempt}")


def six_version() -> str:
    import six

    return f"{six.__version__} {six.__file__}"
