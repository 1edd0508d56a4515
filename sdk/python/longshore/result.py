"""A function's return value as JSON."""

from __future__ import annotations

import json
import math


class ResultError(Exception):
    """A return value is not JSON; the message names the place in it."""


def encode_result(value: object) -> bytes:
    """Encodes what a function returned.

    As ``json.dumps`` does (tuples become arrays, keys that are numbers become strings), but strict
    where that would produce what other readers of JSON refuse: NaN, infinity and unpaired
    surrogates.

    :raises ResultError: with a JSON pointer to the first value that has no JSON form.
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        # The encoder does not say where; look again, only now that it matters.
        mistake = _find_mistake(value, "", set(), 0) or str(error)
        raise ResultError(f"the result is not JSON: {mistake}") from None


def _find_mistake(value: object, path: str, above: set[int], depth: int) -> str | None:
    place = f"at {path}" if path else "the value itself"
    if value is None or isinstance(value, (bool, int)):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{place} is {value!r}; return None for it"
    if isinstance(value, str):
        return _unencodable(value, place)
    if not isinstance(value, (dict, list, tuple)):
        kind = type(value)
        return f"{place} is a {kind.__module__}.{kind.__qualname__}"
    if id(value) in above:
        return f"{place} contains itself"
    if depth > 200:
        return f"{place} is nested too deeply"
    inner = above | {id(value)}
    if isinstance(value, dict):
        for key, item in value.items():
            if not (key is None or isinstance(key, (str, int, float, bool))):
                return f"{place} has the key {key!r}, which is not a string"
            here = f"{path}/{_pointer(str(key))}"
            mistake = _unencodable(str(key), f"the key at {here!r}")
            mistake = mistake or _find_mistake(item, here, inner, depth + 1)
            if mistake is not None:
                return mistake
        return None
    for index, item in enumerate(value):
        mistake = _find_mistake(item, f"{path}/{index}", inner, depth + 1)
        if mistake is not None:
            return mistake
    return None


def _unencodable(text: str, place: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"{place} holds half of a surrogate pair"
    return None


def _pointer(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
