"""Makes ``traces.jsonl``: logs traces with a real MLflow client, exports them, breaks some.

    python3 -m venv venv && venv/bin/pip install mlflow
    venv/bin/python make_traces.py

Starts an MLflow tracking server on SQLite in a temporary directory, logs every exchange of
``conversations.py`` as a trace with its expectations, reads all of them back through MLflow's REST
API, breaks twelve as ``breakage.py`` says, and writes ``traces.jsonl`` and ``README.md`` here.
What the traces say is the same at each run; when they were logged is not.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import platform
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow

from breakage import WAYS
from conversations import Exchange, exchanges

HERE = Path(__file__).resolve().parent
MODEL = "harbour-chat-2"
FIRST = 1_767_261_600_000_000_000
"""When the first trace began: 2026-01-01 10:00 UTC, in nanoseconds."""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, tracking_server(Path(directory)) as url:
        mlflow.set_tracking_uri(url)
        experiment = mlflow.set_experiment("support-assistant").experiment_id
        # The name that the client notes with each trace; nobody's account belongs in a data set.
        os.environ["LOGNAME"] = "harbour"
        # The ids of traces and spans come from this generator.
        random.seed(1)
        made = list(exchanges())
        ids = [log(exchange, number, experiment) for number, exchange in enumerate(made)]
        mlflow.flush_trace_async_logging()
        for trace_id, exchange in zip(ids, made):
            for name, value in exchange.expectations.items():
                mlflow.log_expectation(trace_id=trace_id, name=name, value=value)
        exported = export(url, experiment)
    traces = [exported[trace_id] for trace_id in ids]
    lines, broken = break_some(traces)
    (HERE / "traces.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (HERE / "README.md").write_text(manifest(made, lines, broken), encoding="utf-8")
    print(f"{len(lines)} traces, {len(broken)} of them broken")


@contextlib.contextmanager
def tracking_server(directory: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}"]
    command += ["--workers=1", f"--backend-store-uri=sqlite:///{directory}/mlflow.db"]
    command += [f"--artifacts-destination={directory}/artifacts"]
    with subprocess.Popen(command, cwd=directory) as server:
        try:
            while True:
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health"):
                    break
                if server.poll() is not None:
                    sys.exit("the tracking server ended; its output is above")
                time.sleep(0.2)
            yield url
        finally:
            server.terminate()


def log(exchange: Exchange, number: int, experiment: str) -> str:
    """Logs one exchange as a trace, at its own time of day; returns its id."""
    clock = FIRST + number * 97_000_000_000
    metadata = {"mlflow.trace.user": f"user-{number % 37:02d}"}
    if exchange.session:
        metadata["mlflow.trace.session"] = exchange.session
    root = mlflow.start_span_no_context(
        "support_assistant",
        span_type="AGENT",
        inputs={"messages": exchange.messages},
        tags={"intent": exchange.intent, "language": exchange.language},
        metadata=metadata,
        experiment_id=experiment,
        start_time_ns=clock,
    )
    for step in exchange.steps:
        clock += 2_000_000
        span = mlflow.start_span_no_context(
            step.name,
            span_type=step.kind,
            parent_span=root,
            inputs=step.inputs,
            start_time_ns=clock,
        )
        clock += step.milliseconds * 1_000_000
        if step.kind == "LLM":
            words = len(str(step.outputs).split())
            span.set_attribute("mlflow.llm.model", MODEL)
            usage = {"input_tokens": 180, "output_tokens": words, "total_tokens": 180 + words}
            span.set_attribute("mlflow.chat.tokenUsage", usage)
        if step.error:
            span.record_exception(step.error)
        span.end(outputs=step.outputs, status="ERROR" if step.error else "OK", end_time_ns=clock)
    if exchange.error:
        root.record_exception(exchange.error)
    answer = None if exchange.answer is None else {"role": "assistant", "content": exchange.answer}
    root.end(
        outputs=answer, status="ERROR" if exchange.error else "OK", end_time_ns=clock + 1_000_000
    )
    return str(root.trace_id)


def export(url: str, experiment: str) -> dict[str, Any]:
    """Reads every trace with its spans and assessments through the REST API, by id."""
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    query: dict[str, Any] = {"locations": [location], "max_results": 100}
    traces: dict[str, Any] = {}
    while True:
        page = call(f"{url}/api/3.0/mlflow/traces/search", query)
        for info in page["traces"]:
            name = urllib.parse.urlencode({"trace_id": info["trace_id"]})
            traces[info["trace_id"]] = call(f"{url}/api/3.0/mlflow/traces/get?{name}")["trace"]
        if not page.get("next_page_token"):
            return traces
        query["page_token"] = page["next_page_token"]


def call(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def break_some(traces: list[Any]) -> tuple[list[str], dict[int, str]]:
    """Applies every way of breaking to one trace; returns the lines, and why by line number."""
    lines = [json.dumps(trace, ensure_ascii=False) for trace in traces]
    # Spread over the file, and only where there is something to break.
    candidates = [
        number
        for number, trace in enumerate(traces)
        if trace["trace_info"]["state"] == "OK" and len(trace["spans"]) > 2
    ]
    chosen = candidates[5 :: len(candidates) // len(WAYS)]
    broken: dict[int, str] = {}
    for number, way in zip(chosen, WAYS):
        lines[number] = way(traces[number])
        broken[number + 1] = (way.__doc__ or "").strip().replace("``", "`")
    return lines, broken


def manifest(made: list[Exchange], lines: list[str], broken: dict[int, str]) -> str:
    intents = collections.Counter(exchange.intent for exchange in made)
    languages = collections.Counter(exchange.language for exchange in made)
    flaws = collections.Counter(exchange.flaw for exchange in made if exchange.flaw)
    size = sum(len(line.encode()) + 1 for line in lines)

    def table(head: str, counts: dict[Any, Any]) -> str:
        rows = "".join(f"| {name} | {count} |\n" for name, count in counts.items())
        return f"| {head} | |\n| --- | --- |\n{rows}"

    errors = sum(exchange.error is not None for exchange in made)
    return f"""# Traces of a support assistant

`traces.jsonl` holds {len(lines)} LLM traces ({size / 1e6:.1f} MB), one JSON object a line, as
`GET /api/3.0/mlflow/traces/get` of MLflow answers: `trace_info` (with `assessments`, where the
expectations are) and `spans` (OpenTelemetry's JSON, with inputs and outputs as attributes).

They were logged by MLflow {mlflow.__version__}'s Python client into an MLflow {mlflow.__version__}
tracking server on SQLite (Python {platform.python_version()}) and exported through its REST API by
`make_traces.py`, whose first lines say how to run it again. The assistant, its shop and its
customers are invented (`conversations.py`, seed 20260).

{table("intent", dict(sorted(intents.items())))}
{table("language", dict(sorted(languages.items())))}
{errors} traces are in the state ERROR: the application failed and there is no answer.
{sum(flaws.values())} answers have a flaw that a scorer may find:

{table("flaw", dict(sorted(flaws.items())))}
## Broken on purpose

{len(broken)} lines were broken after the export (`breakage.py`). A job that scores the file reports
each of them as the failure of that trace and goes on.

{table("line", broken)}"""


if __name__ == "__main__":
    main()
