"""Ways in which an exported trace can be broken. Each is applied to one line of the data set."""

from __future__ import annotations

import json
from typing import Any, Callable

Trace = dict[str, Any]


def outputs_missing(trace: Trace) -> str:
    """The root span has no outputs, although the trace says that it went well."""
    root = _root(trace)
    root["attributes"] = [a for a in root["attributes"] if a["key"] != "mlflow.spanOutputs"]
    trace["trace_info"]["trace_metadata"].pop("mlflow.traceOutputs", None)
    trace["trace_info"].pop("response_preview", None)
    return json.dumps(trace, ensure_ascii=False)


def line_cut_off(trace: Trace) -> str:
    """The writer died in the middle of the line: not JSON."""
    text = json.dumps(trace, ensure_ascii=False)
    return text[: len(text) * 2 // 3]


def not_an_object(trace: Trace) -> str:
    """The line is JSON, but an array."""
    return json.dumps([trace["trace_info"]["trace_id"], None, 42])


def spans_of_wrong_type(trace: Trace) -> str:
    """``spans`` is a string."""
    return json.dumps({**trace, "spans": "see attachment"}, ensure_ascii=False)


def attributes_of_wrong_type(trace: Trace) -> str:
    """A span's attributes are an object, as an older exporter wrote them."""
    _root(trace)["attributes"] = {"mlflow.spanType": "AGENT"}
    return json.dumps(trace, ensure_ascii=False)


def no_spans(trace: Trace) -> str:
    """The trace has no spans at all."""
    return json.dumps({**trace, "spans": []}, ensure_ascii=False)


def info_missing(trace: Trace) -> str:
    """Only the spans were exported."""
    return json.dumps({"spans": trace["spans"]}, ensure_ascii=False)


def parents_in_a_circle(trace: Trace) -> str:
    """The root's parent is its own child."""
    _root(trace)["parent_span_id"] = trace["spans"][-1]["span_id"]
    return json.dumps(trace, ensure_ascii=False)


def parent_unknown(trace: Trace) -> str:
    """A span names a parent that is not in the trace."""
    trace["spans"][-1]["parent_span_id"] = "AAAAAAAAAAA="
    return json.dumps(trace, ensure_ascii=False)


def times_invalid(trace: Trace) -> str:
    """A span ends before it begins, and begins at a word."""
    trace["spans"][-1]["start_time_unix_nano"] = "yesterday"
    trace["spans"][-1]["end_time_unix_nano"] = -1
    return json.dumps(trace, ensure_ascii=False)


def answer_huge(trace: Trace) -> str:
    """The answer is 200,000 characters long: a model that did not stop."""
    for attribute in _root(trace)["attributes"]:
        if attribute["key"] == "mlflow.spanOutputs":
            attribute["value"] = {"string_value": "and so on, " * 18_182}
    return json.dumps(trace, ensure_ascii=False)


def expectation_malformed(trace: Trace) -> str:
    """An expectation says that it is JSON, and is not."""
    for assessment in trace["trace_info"]["assessments"]:
        if "expectation" in assessment:
            assessment["expectation"] = {
                "serialized_value": {"serialization_format": "JSON_FORMAT", "value": "[1, "}
            }
    return json.dumps(trace, ensure_ascii=False)


WAYS: list[Callable[[Trace], str]] = [
    outputs_missing,
    line_cut_off,
    not_an_object,
    spans_of_wrong_type,
    attributes_of_wrong_type,
    no_spans,
    info_missing,
    parents_in_a_circle,
    parent_unknown,
    times_invalid,
    answer_huge,
    expectation_malformed,
]


def _root(trace: Trace) -> dict[str, Any]:
    root: dict[str, Any] = next(span for span in trace["spans"] if not span.get("parent_span_id"))
    return root
