"""Checks that every trace of a store made by ``prepare.py`` has its assessment.

    python check.py TRACKING_URI TRACE_ID...

Prints what each trace was found to be; exit status 1 if one has no assessment, or a wrong one.
"""

from __future__ import annotations

import sys

import mlflow

EXPECTED = {
    "Where is my order HG-123456?": (False, "9 words"),
    "Do gift cards expire?": (False, "11 words"),
    "Can I send it back?": (True, "1 words"),
    "Do you deliver to Finland?": (True, "5 words"),
}


def main() -> int:
    tracking_uri, *trace_ids = sys.argv[1:]
    mlflow.set_tracking_uri(tracking_uri)
    mistakes = 0
    for trace_id in trace_ids:
        trace = mlflow.get_trace(trace_id)
        question = trace.data.spans[0].inputs["question"]
        found = [
            (assessment.value, assessment.rationale)
            for assessment in trace.info.assessments
            if assessment.name == "brevity"
        ]
        right = found == [EXPECTED[question]]
        mistakes += not right
        print(f"{'ok ' if right else 'BAD'} {trace_id} {question} {found}")
    return 1 if mistakes or not trace_ids else 0


if __name__ == "__main__":
    sys.exit(main())
