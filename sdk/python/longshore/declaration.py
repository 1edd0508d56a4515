"""``@job``: declares a function as a job type, beside the function itself."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Callable, TypeVar

from longshore.requirements import check_requirement

ATTRIBUTE = "__longshore_job__"
"""Where a decorated function carries its :class:`Declaration`."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")
_QUANTITY = re.compile(r"(?=.*[1-9])\d+(\.\d+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")

F = TypeVar("F", bound=Callable[..., Any])


class DeclarationError(Exception):
    """A ``@job`` declaration is wrong; the message names the function and the argument."""


@dataclass(frozen=True)
class PythonEnv:
    """A Python environment, built once for each distinct value."""

    requirements: tuple[str, ...]
    """pip requirement specifiers; no options, files or local paths."""
    index_url: str | None = None
    """The package index; pip's own default if ``None``."""


@dataclass(frozen=True)
class Declaration:
    """What ``@job`` was told."""

    name: str
    max_workers: int | None = None
    timeout: float | None = None
    """Seconds; the host's default if ``None``."""
    transient_error_classes: tuple[type[Exception], ...] = ()
    exclusive: bool | tuple[str, ...] = False
    python_env: PythonEnv | None = None
    resource_requests: Mapping[str, str] = field(default_factory=dict)
    resource_limits: Mapping[str, str] = field(default_factory=dict)


def job(
    *,
    name: str,
    max_workers: int | None = None,
    timeout: float | timedelta | None = None,
    transient_error_classes: Sequence[type[Exception]] | None = None,
    exclusive: bool | Sequence[str] = False,
    python_env: PythonEnv | None = None,
    pip_requirements: Sequence[str] | None = None,
    resource_requests: Mapping[str, str] | None = None,
    resource_limits: Mapping[str, str] | None = None,
) -> Callable[[F], F]:
    """Declares a module-level function as a job type. The function stays as it is.

    What is left out is the host's default.

    :param name: the name that jobs are submitted under.
    :param max_workers: how many jobs of this type one replica runs at once.
    :param timeout: seconds, or a ``timedelta``, for the whole attempt, its set-up included.
    :param transient_error_classes: exceptions after which another attempt may succeed. The exact
        class counts, not its subclasses.
    :param exclusive: ``True`` lets one job at a time run with equal parameters; a list of parameter
        names compares only those.
    :param python_env: the Python environment that the function needs.
    :param pip_requirements: short for ``python_env=PythonEnv(requirements)``.
    :param resource_requests: what the job asks for: ``{"cpu": "500m", "memory": "512Mi"}``.
    :param resource_limits: what the job may not exceed.
    :raises DeclarationError: an argument is wrong, or it decorates no module-level function.
    """

    def declare(function: F) -> F:
        _check_function(function)
        where = f"@job on {function.__module__}.{function.__qualname__}"
        try:
            declaration = Declaration(
                name=_name(name),
                max_workers=_max_workers(max_workers),
                timeout=_timeout(timeout),
                transient_error_classes=_error_classes(transient_error_classes),
                exclusive=_exclusive(exclusive, function),
                python_env=_python_env(python_env, pip_requirements),
                resource_requests=_quantities("resource_requests", resource_requests),
                resource_limits=_quantities("resource_limits", resource_limits),
            )
        except DeclarationError as mistake:
            raise DeclarationError(f"{where}: {mistake}") from None
        setattr(function, ATTRIBUTE, declaration)
        return function

    if callable(name):
        raise DeclarationError('@job needs its parentheses: @job(name="...")')
    return declare


def declaration_of(value: object) -> Declaration | None:
    """Returns what a function was declared as, or ``None``."""
    # Not `getattr`: a module may hold objects that answer to every name.
    if not inspect.isfunction(value):
        return None
    declaration = vars(value).get(ATTRIBUTE)
    return declaration if isinstance(declaration, Declaration) else None


def _check_function(function: object) -> None:
    if not inspect.isfunction(function):
        raise DeclarationError(f"@job decorates functions, not a {type(function).__name__}")
    if function.__qualname__ != function.__name__ or not function.__name__.isidentifier():
        raise DeclarationError(
            f"@job on {function.__module__}.{function.__qualname__}: a job's function stands at the"
            " top level of its module, so that another process can import it by its full name"
        )
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise DeclarationError(
                f"@job on {function.__module__}.{function.__qualname__}: parameter"
                f" {parameter.name!r} is positional-only, and a job gets its parameters by name"
            )


def _name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(
            f"name is {name!r}; it must be a string of at most 200 letters, digits, '_', '-' and"
            " '.', and begin with a letter or '_'"
        )
    return name


def _max_workers(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DeclarationError(f"max_workers is {value!r}; it must be an int of at least 1")
    return value


def _timeout(value: object) -> float | None:
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise DeclarationError(
            f"timeout is {value!r}; it must be a number of seconds or a timedelta"
        )
    if not math.isfinite(seconds) or seconds <= 0:
        raise DeclarationError(f"timeout is {value!r}; it must be positive and finite")
    return float(seconds)


def _error_classes(value: object) -> tuple[type[Exception], ...]:
    classes = _sequence("transient_error_classes", value)
    for cls in classes:
        if not (isinstance(cls, type) and issubclass(cls, Exception)):
            raise DeclarationError(
                f"transient_error_classes has {cls!r}, which is not an exception class"
            )
    return classes


def _exclusive(value: object, function: Callable[..., Any]) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    names = _sequence("exclusive", value)
    if not names:
        raise DeclarationError("exclusive is empty; name parameters, or give True or False")
    parameters = inspect.signature(function).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    known = [parameter.name for parameter in parameters]
    for name in names:
        if not isinstance(name, str) or not (takes_any or name in known):
            raise DeclarationError(
                f"exclusive names {name!r}, which is not a parameter ({', '.join(known) or 'none'})"
            )
    return names


def _python_env(env: object, requirements: object) -> PythonEnv | None:
    if env is not None and requirements is not None:
        raise DeclarationError("give python_env or pip_requirements, not both")
    if env is None and requirements is None:
        return None
    if env is None:
        env = PythonEnv(_sequence("pip_requirements", requirements))
    if not isinstance(env, PythonEnv):
        raise DeclarationError(f"python_env is a {type(env).__name__}; it must be a PythonEnv")
    listed = _sequence("python_env.requirements", env.requirements)
    for requirement in listed:
        mistake = f"{requirement!r} is not a string"
        if isinstance(requirement, str):
            mistake = check_requirement(requirement) or ""
        if mistake:
            raise DeclarationError(f"requirements: {mistake}")
    if env.index_url is not None and not re.match(r"https?://", str(env.index_url)):
        raise DeclarationError(
            f"python_env.index_url is {env.index_url!r}; it must be an http(s) URL"
        )
    return PythonEnv(listed, env.index_url)


def _quantities(argument: str, value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DeclarationError(
            f'{argument} is {value!r}; it must be a dict such as {{"cpu": "500m"}}'
        )
    for resource, quantity in value.items():
        if not isinstance(resource, str) or not resource:
            raise DeclarationError(f"{argument} has the key {resource!r}, which names no resource")
        if not isinstance(quantity, str) or not _QUANTITY.fullmatch(quantity):
            raise DeclarationError(
                f"{argument}[{resource!r}] is {quantity!r}; it must be a positive quantity such as"
                " '500m' or '512Mi'"
            )
    return dict(value)


def _sequence(argument: str, value: object) -> tuple[Any, ...]:
    if value is None:
        return ()
    # A string is a sequence too, of letters, and that is never meant.
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise DeclarationError(f"{argument} is {value!r}; it must be a list")
    return tuple(value)
