"""``python -m longshore.entry``: the process of a job that is a Python function.

What it reads and writes is described in docs/architecture.md: ``LONGSHORE_JOB``,
``LONGSHORE_PARAMS``, ``LONGSHORE_REPORT`` and ``LONGSHORE_PROGRESS`` name files.

Exit status: 0 if the function returned, 1 if it failed, 2 if this is not a job's process. SIGTERM
keeps its default action: a stopped job leaves no report, whoever stopped it knows why.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, Callable, NoReturn

from longshore.errors import TransientError
from longshore.files import write_atomically
from longshore.names import FunctionNotFound, find_function, full_name
from longshore.progress import clear_progress, report_progress
from longshore.result import ResultError, encode_result

if TYPE_CHECKING:
    from longshore.environment import Environment

_MESSAGE_LIMIT = 16_000
_MLFLOW_VARIABLES = {"tracking_uri": "MLFLOW_TRACKING_URI", "gateway_uri": "MLFLOW_GATEWAY_URI"}
# What `python -m longshore.entry` does, with this package found in the directory given.
_BOOTSTRAP = """\
import sys
sys.path.insert(0, sys.argv[1])
import longshore
sys.path.remove(sys.argv[1])
del sys.argv[1]
import longshore.entry
sys.exit(longshore.entry.main())
"""


class _Failure(Exception):
    """The job failed for a reason that is put in words already."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


def main() -> int:
    """Runs the job that the environment describes; returns the exit status."""
    paths = {name: os.environ.get(f"LONGSHORE_{name}") for name in ("JOB", "PARAMS", "REPORT")}
    if None in paths.values():
        missing = ", ".join(f"LONGSHORE_{name}" for name, path in paths.items() if path is None)
        print(f"longshore.entry: not in a job's process: {missing} is not set", file=sys.stderr)
        return 2
    report_path = str(paths["REPORT"])
    process = os.getpid()
    transient_errors: list[str] = []
    try:
        job = _read_object(str(paths["JOB"]), "the job's description")
        transient_errors = job.get("transient_errors") or []
        _enter_environment(job)
        _tell_mlflow(job.get("context") or {})
        params = _read_object(str(paths["PARAMS"]), "the parameters")
        result = encode_result(_call(str(job.get("function")), params))
    except BaseException as error:
        if os.getpid() != process:
            # A child that the function forked came back through here. The outcome is its parent's
            # to report.
            raise
        if isinstance(error, MemoryError):
            # The frames hold what has used it up, and reporting takes some.
            traceback.clear_frames(error.__traceback__)
        failure = _explain(error, transient_errors)
        _write_report(report_path, json.dumps(failure).encode())
        return 1
    if os.getpid() != process:
        return 0
    # Put together as text: decoding a result of megabytes to encode it again helps nobody.
    report = b'{"status": "SUCCEEDED", "result": ' + result + b"}"
    return 0 if _write_report(report_path, report) else 1


def _write_report(path: str, report: bytes) -> bool:
    # First, so that a reader who sees the report has all output; it may be closed or full.
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    try:
        write_atomically(path, report, durable=True)
    except OSError as error:
        print(f"longshore.entry: the report cannot be written: {error}", file=sys.stderr)
        return False
    return True


def _read_object(path: str, what: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError) as error:
        raise _Failure(f"{what} cannot be read from {path}: {error}") from error
    if not isinstance(value, dict):
        raise _Failure(f"{what} must be a JSON object, not {type(value).__name__}")
    return value


def _enter_environment(job: dict[str, Any]) -> None:
    """Goes on in the Python environment that the job asks for, if it asks for one."""
    python = job.get("python") or {}
    requirements = python.get("requirements") or []
    if not requirements:
        return
    directory = job.get("environments_dir")
    if not directory:
        raise _Failure("the job has python.requirements but its executor names no environments_dir")
    # Imported only here, like `asyncio` below: most jobs need neither, and all of them start.
    from longshore.environment import Environment, EnvironmentFailed, inside

    environment = Environment(directory, requirements, python.get("index_url"))
    if inside(environment):
        os.environ.pop("LONGSHORE_ENVIRONMENT", None)
        if os.path.exists(os.environ.get("LONGSHORE_PROGRESS", "")):
            clear_progress()
        return
    if os.environ.get("LONGSHORE_ENVIRONMENT") == environment.path:
        # Otherwise two interpreters that disagree about their prefix would hand over for ever.
        raise _Failure(f"{environment.python} does not run in its own environment")

    def tell(message: str) -> None:
        print(f"longshore: {message}", file=sys.stderr, flush=True)
        # Executors know the phase by this word: a job that is stopped now never ran.
        report_progress(message, phase="set-up")

    try:
        environment.ensure(tell)
    except EnvironmentFailed as error:
        raise _Failure(str(error), transient=error.transient) from error
    _execute(environment)


def _execute(environment: Environment) -> NoReturn:
    programs = os.path.dirname(environment.python)
    variables = {
        **os.environ,
        "LONGSHORE_ENVIRONMENT": environment.path,
        # What activating it would set, so that programs installed in it are found.
        "VIRTUAL_ENV": environment.path,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    # This package is imported from where it is now, and nothing else from there: if it was
    # installed, its directory holds all of that interpreter's packages.
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    os.execve(environment.python, [environment.python, "-c", _BOOTSTRAP, here], variables)


def _tell_mlflow(context: dict[str, Any]) -> None:
    """Lets plain ``mlflow`` calls find the server, unless the executor's settings name another."""
    for field, variable in _MLFLOW_VARIABLES.items():
        if context.get(field):
            os.environ.setdefault(variable, str(context[field]))


def _call(name: str, params: dict[str, Any]) -> object:
    function = find_function(name)
    _check_arguments(function, name, params)
    value = function(**params)
    if inspect.isawaitable(value):
        import asyncio

        return asyncio.run(_finish(value))
    return value


async def _finish(awaitable: Any) -> object:
    return await awaitable


def _check_arguments(function: Callable[..., Any], name: str, params: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some functions written in C have none; calling them will say what they lack.
        return
    try:
        signature.bind(**params)
    except TypeError as error:
        raise _Failure(f"the parameters do not fit {name}{signature}: {error}") from None


def _explain(error: BaseException, transient_errors: list[str]) -> dict[str, object]:
    """Puts a failure in words: for the log with its traceback, for the report in one line."""
    if isinstance(error, _Failure):
        message, transient = str(error), error.transient
        print(f"longshore: {message}", file=sys.stderr)
    elif isinstance(error, (FunctionNotFound, ResultError)):
        message, transient = str(error), False
        print(f"longshore: {message}", file=sys.stderr)
    else:
        _print_traceback(error)
        message = f"{_short_name(type(error))}: {_text(error)}".removesuffix(": ")
        if isinstance(error, SystemExit):
            # Also with code 0: a function succeeds by returning.
            message = f"the function called sys.exit({_text(error)}) instead of returning"
        transient = isinstance(error, TransientError) or _is_listed(type(error), transient_errors)
    return {
        "status": "FAILED",
        "error_message": _shorten(message),
        "is_transient_error": transient,
    }


def _is_listed(cls: type, transient_errors: list[str]) -> bool:
    # This very class and no base of it: `OSError` in the list must not make a missing file worth
    # trying again.
    names = {full_name(cls)}
    if cls.__module__ == "builtins":
        names.add(cls.__qualname__)
    return not names.isdisjoint(transient_errors)


def _print_traceback(error: BaseException) -> None:
    try:
        traceback.print_exception(type(error), error, error.__traceback__)
    except Exception as another:
        # An exception may fail to describe itself; it must not cost the report.
        print(f"(no traceback of a {type(error).__qualname__}: {another!r})", file=sys.stderr)


def _short_name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else full_name(cls)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(it cannot describe itself)"


def _shorten(message: str) -> str:
    readable = message.encode(errors="replace").decode()
    if len(readable) <= _MESSAGE_LIMIT:
        return readable
    return f"{readable[:_MESSAGE_LIMIT]}... ({len(readable) - _MESSAGE_LIMIT} more characters)"


if __name__ == "__main__":
    sys.exit(main())
