"""Makes an MLflow tracking store with a few traces, and prints parameters for MLflow's own job.

    python prepare.py STORE_DIRECTORY

needs ``mlflow`` (see README.md). On standard output stands one JSON object: ``tracking_uri``,
``experiment_id``, ``trace_ids``, and ``params``, which are the parameters of
``mlflow.genai.scorers.job.invoke_scorer_job``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mlflow
from mlflow.entities import Feedback
from mlflow.genai.scorers import scorer

ANSWERS = {
    "Where is my order HG-123456?": "It is in transit. Thank you for your patience.",
    "Do gift cards expire?": "They are valid for 4 years from the day of purchase.",
    "Can I send it back?": "Obviously.",
    "Do you deliver to Finland?": "Yes, within 2 working days.",
}


# MLflow stores the source of such a function and runs it in the job; no model is asked. On stored
# traces it gives a scorer the trace and nothing else: `inputs` and `outputs` would be None.
@scorer
def brevity(trace) -> Feedback:
    words = len(str(trace.data.spans[0].outputs).split())
    return Feedback(value=words <= 6, rationale=f"{words} words")


def main() -> None:
    directory = Path(sys.argv[1]).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    tracking_uri = f"sqlite:///{directory}/mlflow.db"
    mlflow.set_tracking_uri(tracking_uri)
    artifacts = (directory / "artifacts").as_uri()
    experiment_id = mlflow.create_experiment("invoke-scorer", artifact_location=artifacts)
    trace_ids = []
    for question, answer in ANSWERS.items():
        span = mlflow.start_span_no_context(
            "assistant", inputs={"question": question}, experiment_id=experiment_id
        )
        span.end(outputs=answer)
        trace_ids.append(span.trace_id)
    mlflow.flush_trace_async_logging()
    params = {
        "experiment_id": experiment_id,
        "serialized_scorer": json.dumps(brevity.model_dump()),
        "trace_ids": trace_ids,
        "log_assessments": True,
    }
    answer = {"tracking_uri": tracking_uri, "experiment_id": experiment_id, "trace_ids": trace_ids}
    json.dump({**answer, "params": params}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
