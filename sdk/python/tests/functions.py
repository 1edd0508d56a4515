"""Functions that the tests run as jobs. Most know nothing of Longshore."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import longshore


def add(a: int, b: int = 2) -> int:
    return a + b


@longshore.job(name="decorated", timeout=5)
def decorated(a: int) -> int:
    """Adds one."""
    longshore.report_progress("adding", completed=1, total=1, unit="sums")
    return a + 1


async def waits(a: int) -> int:
    await asyncio.sleep(0)
    return a * 2


def gives(value: Any) -> Any:
    return value


def who() -> Any:
    job = longshore.current_job()
    return job and [job.id, job.attempt, job.tag, job.workspace]


def tracking() -> Any:
    return [os.environ.get("MLFLOW_TRACKING_URI"), os.environ.get("MLFLOW_GATEWAY_URI")]


def not_json() -> Any:
    return {"scores": [1, {"when": object()}]}


def nan() -> Any:
    return {"a/b": [0.5, float("nan")]}


def circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def half_a_character() -> str:
    return "\ud800"


class Refused(ConnectionError):
    """For `transient_errors`."""


def refuses() -> None:
    raise Refused("come back later")


def built_in_error() -> None:
    raise TimeoutError("too slow")


def says_transient() -> None:
    class StillTransient(longshore.TransientError):
        pass

    raise StillTransient("once more")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def mute() -> None:
    raise Mute


def exits(code: Any) -> None:
    sys.exit(code)


def recurses() -> None:
    recurses()


def eats_all_memory() -> None:
    import resource

    limit = 512 * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    eaten = []
    while True:
        eaten.append(bytearray(1024 * 1024))


def forks_a_child_that_leaves() -> str:
    child = os.fork()
    if child == 0:
        sys.exit(3)
    _, status = os.waitpid(child, 0)
    return f"the child left with {os.waitstatus_to_exitcode(status)}"


def prints(lines: int) -> str:
    for number in range(lines):
        print("out", number)
        print("err", number, file=sys.stderr)
    return "done"


def waits_for_ever(started: str) -> None:
    with open(started, "w", encoding="utf-8"):
        pass
    while True:
        time.sleep(60)


def imports(module: str) -> Any:
    """Where a module of the environment is, and what surrounds it."""
    imported = __import__(module)
    progress = os.environ["LONGSHORE_PROGRESS"]
    shown = None
    if os.path.exists(progress):
        with open(progress, encoding="utf-8") as file:
            shown = json.load(file)
    return {
        "file": imported.__file__,
        "prefix": sys.prefix,
        "progress": shown,
        "path": os.environ["PATH"].split(os.pathsep)[0],
        "sys_path": sys.path,
        "version": getattr(imported, "__version__", None),
    }
