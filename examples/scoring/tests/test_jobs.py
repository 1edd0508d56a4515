"""The job on the real data set, and on what could be in it."""

from __future__ import annotations

import json
import os
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from longshore import progress

from scorers import jobs
from scorers.jobs import score_line, score_traces
from scorers.scorer import scorer

TRACES = Path(__file__).resolve().parents[2] / "traces"
DATA = str(TRACES / "traces.jsonl")


def good_line() -> str:
    with open(DATA, encoding="utf-8") as file:
        return file.readline()


class DataSet(unittest.TestCase):
    whole: dict[str, Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.whole = score_traces(DATA, 0, 1000)

    def test_exactly_the_lines_broken_on_purpose_fail(self) -> None:
        manifest = (TRACES / "README.md").read_text(encoding="utf-8")
        broken = [int(line) for line in re.findall(r"^\| (\d+) \|", manifest, re.MULTILINE)]
        failed = [trace["line"] for trace in self.whole["traces"] if "error" in trace]
        self.assertEqual(failed, broken)
        self.assertGreaterEqual(len(broken), 12)

    def test_every_trace_is_in_the_result_once(self) -> None:
        self.assertGreaterEqual(len(self.whole["traces"]), 200)
        lines = [trace["line"] for trace in self.whole["traces"]]
        self.assertEqual(lines, list(range(1, len(lines) + 1)))
        ids = {trace["trace_id"] for trace in self.whole["traces"]}
        self.assertEqual(len(ids), len(lines))

    def test_scorers_tell_good_answers_from_bad_ones(self) -> None:
        for name in jobs.SCORERS:
            values = [
                trace["scores"][name]["value"]
                for trace in self.whole["traces"]
                if trace["scores"].get(name)
            ]
            with self.subTest(name):
                self.assertIn(1.0, values)
                self.assertIn(0.0, values)
                self.assertTrue(all(0 <= value <= 1 for value in values))

    def test_batches_add_up_to_the_whole(self) -> None:
        batches = [score_traces(DATA, offset, 50) for offset in range(0, 250, 50)]
        traces = [trace for batch in batches for trace in batch["traces"]]
        self.assertEqual(traces, self.whole["traces"])
        failed = sum(batch["summary"]["failed"] for batch in batches)
        self.assertEqual(failed, self.whole["summary"]["failed"])

    def test_the_result_is_json(self) -> None:
        json.dumps(self.whole, allow_nan=False)


class Job(unittest.TestCase):
    def test_only_the_named_scorers_run(self) -> None:
        result = score_traces(DATA, 0, 1, scorers=["politeness"])
        self.assertEqual(list(result["traces"][0]["scores"]), ["politeness"])

    def test_an_unknown_scorer_is_a_mistake_that_names_the_known_ones(self) -> None:
        with self.assertRaisesRegex(
            ValueError, "no scorer is called absent; there are correctness"
        ):
            score_traces(DATA, 0, 1, scorers=["absent"])

    def test_a_batch_beyond_the_end_is_empty(self) -> None:
        result = score_traces(DATA, 10_000, 10)
        self.assertEqual(result, {"traces": [], "summary": {"scored": 0, "failed": 0, "mean": {}}})

    def test_progress_is_reported_trace_by_trace(self) -> None:
        with mock.patch.object(jobs, "report_progress") as report:
            score_traces(DATA, 0, 5)
        counts = [call.kwargs["completed"] for call in report.call_args_list]
        self.assertEqual(counts, [0, 1, 2, 3, 4, 5])
        self.assertEqual(report.call_args_list[0].kwargs["total"], 5)

    def test_the_last_progress_stands_in_the_jobs_file(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "progress.json")
            with (
                mock.patch.dict(os.environ, {"LONGSHORE_PROGRESS": path}),
                mock.patch.object(progress, "_message", None),
                mock.patch.object(progress, "_counts", {}),
            ):
                score_traces(DATA, 0, 3)
            with open(path, encoding="utf-8") as file:
                reported = json.load(file)["progress"]
        self.assertEqual(reported, {"phase": "score", "completed": 3, "total": 3, "unit": "traces"})

    def test_a_scorer_that_raises_fails_its_trace_and_the_others_still_count(self) -> None:
        @scorer
        def careless(trace: Any) -> float:
            return trace.absent

        entry = score_line(good_line(), 1, [careless, jobs.SCORERS["politeness"]])
        self.assertIn("scorer careless: AttributeError", entry["error"])
        self.assertIn("politeness", entry["scores"])

    def test_whatever_a_line_holds_the_job_goes_on(self) -> None:
        lines = [
            "",
            "null",
            "{}",
            "\x00\ud800",
            '{"trace_info": {"trace_id": 7}, "spans": []}',
            "[" * 100_000,
            good_line().replace('"kvlist_value"', '"unknown_value"'),
            good_line().replace('"key": "content"', '"kex": "content"'),
            good_line().replace("STATUS_CODE_OK", "7"),
        ]
        for line in lines:
            with self.subTest(line[:40]):
                entry = score_line(line, 1, list(jobs.SCORERS.values()))
                json.dumps(entry).encode()
        self.assertIn("error", score_line("[" * 100_000, 1, []))


if __name__ == "__main__":
    unittest.main()
