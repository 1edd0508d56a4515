"""Functions and classes by their full names."""

from __future__ import annotations

import importlib
from typing import Any, Callable


class FunctionNotFound(Exception):
    """A full name leads to no function; the message says at which step."""


def find_function(name: str) -> Callable[..., Any]:
    """Imports ``package.module:function``, or ``package.module.function``.

    :raises FunctionNotFound: the name is malformed, the module or the function is not there. What
        the module itself raises while it is imported is raised as it is.
    """
    module_name, colon, function_name = name.partition(":")
    if not colon:
        module_name, _, function_name = name.rpartition(".")
    if not module_name or not function_name.isidentifier():
        raise FunctionNotFound(
            f"{name!r} is not the full name of a function, such as 'package.module:function'"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Only if the module, or a package above it, is what is missing; a missing import inside of
        # it is another mistake.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise FunctionNotFound(
            f"there is no module {error.name!r} (wanted for {name!r}); add its directory to the"
            " executor's pythonpath, or its package to the job type's python.requirements"
        ) from None
    function = getattr(module, function_name, None)
    if function is None:
        raise FunctionNotFound(f"module {module_name!r} has no function {function_name!r}")
    if not callable(function):
        raise FunctionNotFound(f"{name!r} is a {type(function).__name__}, not a function")
    found: Callable[..., Any] = function
    return found


def full_name(cls: type) -> str:
    """``module.Class``; what ``transient_errors`` lists."""
    return f"{cls.__module__}.{cls.__qualname__}"
