"""``python -m longshore.describe``: what the decorators of some modules declare, as JSON.

The host runs this in a child process, because importing a module runs it. On standard output
stands one JSON document and nothing else; whatever the modules print goes to standard error.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, Callable

from longshore.declaration import Declaration, declaration_of
from longshore.names import full_name


def main(arguments: Sequence[str] | None = None) -> int:
    """Describes the modules named in ``arguments``; returns the exit status."""
    options = _parse(arguments)
    answer = os.dup(1)
    # At the level of the descriptor: libraries in C and child processes print too.
    os.dup2(2, 1)
    sys.path[:0] = [os.path.abspath(directory) for directory in options.path]
    document = describe(options.modules)
    with open(answer, "w", encoding="utf-8") as out:
        json.dump(document, out, ensure_ascii=True)
        out.write("\n")
    return 0


def describe(modules: Iterable[str]) -> dict[str, Any]:
    """Imports the modules and describes every decorated function in them.

    A module that cannot be imported, or a name declared twice, is an entry in ``errors``; the rest
    is described all the same.
    """
    modules = list(dict.fromkeys(modules))
    found: dict[str, Callable[..., Any]] = {}
    jobs: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    for name in modules:
        try:
            module = importlib.import_module(name)
        except BaseException as error:
            # `BaseException`: a module may call `sys.exit`, and is a mistake like any other then.
            traceback.print_exception(type(error), error, error.__traceback__)
            errors.append({"module": name, "error": f"cannot be imported: {_reason(error)}"})
            continue
        for function, declaration in _declared(module):
            first = found.setdefault(declaration.name, function)
            if first is function:
                # A package may offer again what one of its modules declares.
                if not any(job["name"] == declaration.name for job in jobs):
                    jobs.append(_describe(function, declaration))
            else:
                both = f"{_path(first)} and {_path(function)}"
                mistake = f"the job name {declaration.name!r} is declared twice, by {both}"
                errors.append({"module": name, "error": mistake})
    return {"modules": modules, "jobs": jobs, "errors": errors}


def _declared(module: ModuleType) -> Iterable[tuple[Callable[..., Any], Declaration]]:
    for value in list(vars(module).values()):
        declaration = declaration_of(value)
        if declaration is not None:
            yield value, declaration


def _describe(function: Callable[..., Any], declaration: Declaration) -> dict[str, Any]:
    exclusive = declaration.exclusive
    environment = declaration.python_env
    requests, limits = declaration.resource_requests, declaration.resource_limits
    doc = (inspect.getdoc(function) or "").strip()
    return {
        "name": declaration.name,
        "function": _path(function),
        "max_workers": declaration.max_workers,
        "timeout": declaration.timeout,
        "transient_errors": [full_name(cls) for cls in declaration.transient_error_classes],
        "exclusive": exclusive if isinstance(exclusive, bool) else list(exclusive),
        "python": environment
        and {"requirements": list(environment.requirements), "index_url": environment.index_url},
        "resources": {"requests": dict(requests), "limits": dict(limits)}
        if requests or limits
        else None,
        **_parameters(function),
        "doc": doc.splitlines()[0] if doc else "",
    }


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    required: list[str] = []
    optional: list[str] = []
    extra = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = True
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            named = required if parameter.default is parameter.empty else optional
            named.append(parameter.name)
    return {
        "required_params": required,
        "optional_params": optional,
        "accepts_extra_params": extra,
    }


def _path(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__name__}"


def _reason(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:
        return type(error).__name__


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m longshore.describe",
        description="Print the job types that decorators declare in some modules, as JSON.",
        epilog="example: python -m longshore.describe --path . scorers.jobs",
    )
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="a module to import")
    parser.add_argument(
        "--path",
        action="append",
        default=[],
        metavar="DIR",
        help="a directory to import from, before all others; may be repeated",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    # Not `sys.exit`: a thread that a module started must not keep the host waiting.
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
