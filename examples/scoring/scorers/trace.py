"""A trace as scorers see it, read from a line of MLflow's REST export."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

ANSWER_LIMIT = 100_000
"""Characters; an answer beyond it is a model that did not stop, and no scorer should read it."""


class BrokenTrace(Exception):
    """A line that is no usable trace; the message says what is wrong with it."""


@dataclass(frozen=True)
class Span:
    """One step of a trace."""

    id: str
    parent: str | None
    name: str
    kind: str
    inputs: Any
    outputs: Any
    failed: bool


@dataclass(frozen=True)
class Trace:
    """One question, its answer, what was done in between, and what was expected."""

    id: str
    inputs: Any
    outputs: Any
    expectations: dict[str, Any]
    spans: tuple[Span, ...]
    failed: bool

    def tools(self) -> list[Span]:
        """The calls of tools, in the order in which they were made."""
        return [span for span in self.spans if span.kind == "TOOL"]

    @property
    def answer(self) -> str:
        """What the assistant said; empty if it failed."""
        return _text(self.outputs)

    @property
    def question(self) -> str:
        """What the user said last."""
        return _text(self.inputs)


def parse(line: str) -> Trace:
    """Reads one line of the export.

    :raises BrokenTrace: it is not a trace, or not a usable one.
    """
    try:
        document = json.loads(line.strip())
    except ValueError as error:
        raise BrokenTrace(f"the line is not JSON: {error}") from None
    info = _dict(_dict(document, "the line").get("trace_info"), "trace_info")
    trace_id = info.get("trace_id")
    if not isinstance(trace_id, str):
        raise BrokenTrace("trace_info has no trace_id")
    spans = [_span(span, number) for number, span in enumerate(_list(document, "spans"))]
    root = _root(spans)
    failed = info.get("state") != "OK"
    if root.outputs is None and not failed:
        raise BrokenTrace("the trace is OK and has no outputs")
    trace = Trace(trace_id, root.inputs, root.outputs, _expectations(info), tuple(spans), failed)
    if len(trace.answer) > ANSWER_LIMIT:
        length = len(trace.answer)
        raise BrokenTrace(f"the answer has {length} characters, more than {ANSWER_LIMIT}")
    return trace


def trace_id_of(line: str) -> str | None:
    """The id in a line that may be broken, if it can be found; for reports only."""
    start = line.find('"tr-')
    end = line.find('"', start + 1)
    return line[start + 1 : end] if start >= 0 and start < end < start + 200 else None


def _span(span: Any, number: int) -> Span:
    what = f"span {number}"
    fields = _dict(span, what)
    begin, end = (fields.get(f"{edge}_time_unix_nano") for edge in ("start", "end"))
    if not (isinstance(begin, int) and isinstance(end, int) and 0 < begin <= end):
        raise BrokenTrace(f"{what} has no valid times: {begin!r} to {end!r}")
    attributes = {
        attribute.get("key"): _value(attribute.get("value"), what)
        for attribute in (_dict(entry, what) for entry in _list(fields, "attributes", what))
    }
    return Span(
        id=str(fields.get("span_id")),
        parent=fields.get("parent_span_id") or None,
        name=str(fields.get("name")),
        kind=str(attributes.get("mlflow.spanType", "UNKNOWN")),
        inputs=attributes.get("mlflow.spanInputs"),
        outputs=attributes.get("mlflow.spanOutputs"),
        failed=_dict(fields.get("status", {}), what).get("code") == "STATUS_CODE_ERROR",
    )


def _root(spans: list[Span]) -> Span:
    """The one span without a parent, from which all others must descend."""
    if not spans:
        raise BrokenTrace("the trace has no spans")
    roots = [span for span in spans if span.parent is None]
    if len(roots) != 1:
        raise BrokenTrace(f"the trace has {len(roots)} root spans instead of one")
    parents = {span.id: span.parent for span in spans}
    for span in spans:
        seen = set()
        at: str | None = span.id
        while at is not None:
            if at not in parents:
                raise BrokenTrace(f"span {span.name!r} has an unknown parent")
            if at in seen:
                raise BrokenTrace(f"span {span.name!r} descends from itself")
            seen.add(at)
            at = parents[at]
    return roots[0]


def _expectations(info: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for entry in info.get("assessments") or []:
        assessment = _dict(entry, "assessment")
        name = str(assessment.get("assessment_name"))
        if "expectation" not in assessment:
            continue
        expectation = _dict(assessment["expectation"], f"expectation {name!r}")
        value = expectation.get("value")
        if "serialized_value" in expectation:
            # How MLflow sends what is no string, number or boolean.
            try:
                value = json.loads(expectation["serialized_value"]["value"])
            except (ValueError, KeyError, TypeError) as error:
                raise BrokenTrace(f"expectation {name!r} is not JSON: {error}") from None
        found[name] = value
    return found


def _value(value: Any, what: str) -> Any:
    """An attribute's value: OpenTelemetry wraps each in an object that names its type."""
    if value is None or value == {}:
        return None
    if not isinstance(value, dict) or len(value) != 1:
        raise BrokenTrace(f"{what} has an attribute that is no OpenTelemetry value")
    ((kind, content),) = value.items()
    if kind == "kvlist_value":
        entries = _list(content, "values", what, missing_is_empty=True)
        return {entry["key"]: _value(entry.get("value"), what) for entry in entries}
    if kind == "array_value":
        entries = _list(content, "values", what, missing_is_empty=True)
        return [_value(entry, what) for entry in entries]
    return content


def _text(value: Any) -> str:
    """The words in a message, or in the last of several."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _text(value[-1]) if value else ""
    if isinstance(value, dict):
        for key in ("content", "messages", "text", "output"):
            if key in value:
                return _text(value[key])
    return ""


def _dict(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BrokenTrace(f"{what} is {_kind(value)}, not an object")
    return value


def _list(
    fields: Any, name: str, what: str | None = None, *, missing_is_empty: bool = False
) -> list[Any]:
    value = _dict(fields, what or name).get(name, [] if missing_is_empty else None)
    if not isinstance(value, list):
        owner = f"{what}'s {name}" if what else name
        raise BrokenTrace(f"{owner} is {_kind(value)}, not an array")
    return value


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
