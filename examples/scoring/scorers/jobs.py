"""The job types of this example."""

from __future__ import annotations

import itertools
import time
from typing import Any

from longshore import job, report_progress

from scorers.correctness import correctness
from scorers.politeness import politeness
from scorers.scorer import Scorer, as_score
from scorers.tool_use import tool_use
from scorers.trace import BrokenTrace, parse, trace_id_of

SCORERS: dict[str, Scorer] = {scorer.name: scorer for scorer in (correctness, tool_use, politeness)}


@job(name="score_traces", max_workers=4, timeout=600)
def score_traces(
    traces_path: str,
    offset: int,
    limit: int,
    scorers: list[str] | None = None,
    seconds_per_trace: float = 0.0,
) -> dict[str, Any]:
    """Scores the traces of a batch of lines of an MLflow export.

    A broken trace is a failure of that trace and stands in the result with its reason; so does a
    scorer that raises. The job goes on.

    :param traces_path: a file with one trace a line.
    :param offset: how many lines to skip.
    :param limit: how many lines to score.
    :param scorers: names of scorers; all if left out.
    :param seconds_per_trace: how long to think about each, as a model would.
    """
    chosen = _choose(scorers)
    with open(traces_path, encoding="utf-8", errors="replace") as file:
        lines = list(itertools.islice(file, offset, offset + limit))
    report_progress("reading", phase="score", completed=0, total=len(lines), unit="traces")
    traces = []
    for number, line in enumerate(lines):
        result = score_line(line, offset + number + 1, chosen)
        traces.append(result)
        time.sleep(seconds_per_trace)
        report_progress(f"scored {result['trace_id'] or 'a broken line'}", completed=number + 1)
    return {"traces": traces, "summary": summarize(traces)}


def score_line(line: str, number: int, scorers: list[Scorer]) -> dict[str, Any]:
    """Scores one line; never raises."""
    entry: dict[str, Any] = {"line": number, "trace_id": trace_id_of(line), "scores": {}}
    try:
        trace = parse(line)
    except BrokenTrace as error:
        entry["error"] = str(error)
        return entry
    except Exception as error:  # a way to be broken that nobody has thought of
        entry["error"] = f"the trace cannot be read: {type(error).__name__}: {error}"
        return entry
    for scorer in scorers:
        try:
            score = scorer(trace)
        except Exception as error:  # a user's code may raise anything
            entry["error"] = f"scorer {scorer.name}: {type(error).__name__}: {error}"
        else:
            entry["scores"][scorer.name] = as_score(score)
    return entry


def summarize(traces: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts, and the mean of every scorer over the traces that it had something to say about."""
    values: dict[str, list[float]] = {}
    for trace in traces:
        for name, score in trace["scores"].items():
            if score is not None:
                values.setdefault(name, []).append(score["value"])
    failed = sum("error" in trace for trace in traces)
    return {
        "scored": len(traces) - failed,
        "failed": failed,
        "mean": {name: round(sum(scores) / len(scores), 4) for name, scores in values.items()},
    }


def _choose(names: list[str] | None) -> list[Scorer]:
    if names is None:
        return list(SCORERS.values())
    unknown = [name for name in names if name not in SCORERS]
    if unknown:
        raise ValueError(
            f"no scorer is called {', '.join(unknown)}; there are {', '.join(SCORERS)}"
        )
    return [SCORERS[name] for name in names]
