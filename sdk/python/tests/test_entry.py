"""The process of a job: what it calls, and what it reports."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.attempt import PACKAGE, Attempt
from tests.waiting import until


class Entry(unittest.TestCase):
    def succeeds(self, function: str, params: object, result: object) -> Attempt:
        attempt = Attempt(self, function)
        self.assertEqual(attempt.run(params), {"status": "SUCCEEDED", "result": result})
        return attempt

    def fails(self, function: str, params: object = None, **job: object) -> tuple[str, Attempt]:
        attempt = Attempt(self, function, **job)
        report = attempt.run(params)
        self.assertEqual(sorted(report), ["error_message", "is_transient_error", "status"])
        self.assertEqual(report["status"], "FAILED")
        self.transient = report["is_transient_error"]
        return report["error_message"], attempt

    def test_a_function_that_knows_nothing_of_us_gets_its_parameters_by_name(self) -> None:
        self.succeeds("tests.functions:add", {"a": 1}, 3)
        self.succeeds("tests.functions:add", {"b": 10, "a": 1}, 11)

    def test_a_dotted_name_is_accepted_too(self) -> None:
        self.succeeds("tests.functions.add", {"a": 1}, 3)

    def test_a_decorated_function_runs_and_its_last_progress_is_there(self) -> None:
        attempt = self.succeeds("tests.functions:decorated", {"a": 1}, 2)
        self.assertEqual(
            attempt.progress(),
            {"message": "adding", "progress": {"completed": 1, "total": 1, "unit": "sums"}},
        )

    def test_a_coroutine_function_is_awaited(self) -> None:
        self.succeeds("tests.functions:waits", {"a": 21}, 42)

    def test_a_function_without_a_python_signature_runs(self) -> None:
        self.succeeds("builtins:dict", {"a": 1}, {"a": 1})

    def test_every_kind_of_json_comes_back_as_it_went(self) -> None:
        value = {"text": "ärger \u2028 \x00 😀", "list": [1, 2.5, None, True, [], {}], "big": 2**70}
        self.succeeds("tests.functions:gives", {"value": value}, value)

    def test_a_job_knows_who_it_is(self) -> None:
        tag = "f" * 32
        expected = ["0198c5f0-0000-7000-8000-000000000001", 2, tag, "default"]
        self.succeeds("tests.functions:who", {}, expected)

    def test_mlflow_finds_what_the_jobs_context_names(self) -> None:
        context = {"tracking_uri": "http://t.example", "gateway_uri": "http://g.example"}
        attempt = Attempt(self, "tests.functions:tracking", context=context)
        self.assertEqual(attempt.run()["result"], ["http://t.example", "http://g.example"])
        attempt.variables["MLFLOW_TRACKING_URI"] = "sqlite:///set-by-the-operator.db"
        self.assertEqual(
            attempt.run()["result"], ["sqlite:///set-by-the-operator.db", "http://g.example"]
        )
        self.succeeds("tests.functions:tracking", {}, [None, None])

    def test_the_report_can_be_read_by_its_owner_only_and_nothing_else_is_left(self) -> None:
        attempt = self.succeeds("tests.functions:add", {"a": 1}, 3)
        mode = stat.S_IMODE((attempt.directory / "report.json").stat().st_mode)
        self.assertEqual(mode, 0o600)
        self.assertEqual(
            sorted(os.listdir(attempt.directory)),
            ["job.json", "output", "params.json", "report.json", "work"],
        )

    def test_output_does_not_get_into_the_result(self) -> None:
        attempt = self.succeeds("tests.functions:prints", {"lines": 3}, "done")
        self.assertIn("out 2", attempt.output())
        self.assertIn("err 2", attempt.output())

    def test_parameters_that_do_not_fit_name_what_is_wrong(self) -> None:
        message, _ = self.fails("tests.functions:add", {"b": 1})
        self.assertIn("tests.functions:add(a: 'int', b: 'int' = 2)", message)
        self.assertIn("missing a required argument: 'a'", message)
        message, _ = self.fails("tests.functions:add", {"a": 1, "c": 1})
        self.assertIn("'c'", message)

    def test_parameters_that_are_not_an_object_fail(self) -> None:
        message, _ = self.fails("tests.functions:add", [1])
        self.assertEqual(message, "the parameters must be a JSON object, not list")

    def test_a_name_that_leads_nowhere_says_at_which_step(self) -> None:
        message, _ = self.fails("absent.package:function")
        self.assertIn("there is no module 'absent'", message)
        message, _ = self.fails("tests.absent:function")
        self.assertIn("there is no module 'tests.absent'", message)
        message, _ = self.fails("tests.functions:absent")
        self.assertEqual(message, "module 'tests.functions' has no function 'absent'")
        message, _ = self.fails("tests.attempt:PACKAGE")
        self.assertIn("not a function", message)
        message, _ = self.fails("nothing")
        self.assertIn("not the full name of a function", message)
        self.assertFalse(self.transient)

    def test_a_module_that_cannot_be_imported_is_the_functions_failure(self) -> None:
        message, attempt = self.fails("tests.broken_import:function")
        self.assertEqual(message, "ModuleNotFoundError: No module named 'absent_dependency'")
        self.assertIn("broken_import.py", attempt.output())

    def test_an_exception_is_reported_with_its_type_and_logged_with_its_traceback(self) -> None:
        message, attempt = self.fails("tests.functions:refuses")
        self.assertEqual(message, "tests.functions.Refused: come back later")
        self.assertFalse(self.transient)
        self.assertIn("Traceback (most recent call last)", attempt.output())

    def test_a_listed_exception_class_is_transient(self) -> None:
        self.fails("tests.functions:refuses", transient_errors=["tests.functions.Refused"])
        self.assertTrue(self.transient)
        for name in ("TimeoutError", "builtins.TimeoutError"):
            self.fails("tests.functions:built_in_error", transient_errors=[name])
            self.assertTrue(self.transient, name)

    def test_a_listed_base_class_is_not_enough(self) -> None:
        listed = ["builtins.ConnectionError", "builtins.OSError", "ConnectionError"]
        self.fails("tests.functions:refuses", transient_errors=listed)
        self.assertFalse(self.transient)

    def test_our_own_transient_error_needs_no_listing(self) -> None:
        message, _ = self.fails("tests.functions:says_transient")
        self.assertTrue(self.transient)
        self.assertTrue(message.endswith("StillTransient: once more"), message)

    def test_an_exception_that_cannot_describe_itself_is_reported_all_the_same(self) -> None:
        message, _ = self.fails("tests.functions:mute")
        self.assertEqual(message, "tests.functions.Mute: (it cannot describe itself)")

    def test_sys_exit_is_a_failure_whatever_its_code(self) -> None:
        message, _ = self.fails("tests.functions:exits", {"code": 0})
        self.assertEqual(message, "the function called sys.exit(0) instead of returning")
        self.fails("tests.functions:exits", {"code": "enough"})

    def test_endless_recursion_is_a_failure(self) -> None:
        message, _ = self.fails("tests.functions:recurses")
        self.assertTrue(message.startswith("RecursionError: "), message)

    def test_running_out_of_memory_is_a_failure_with_a_report(self) -> None:
        message, _ = self.fails("tests.functions:eats_all_memory")
        self.assertEqual(message, "MemoryError")

    def test_a_forked_child_that_leaves_reports_nothing(self) -> None:
        self.succeeds("tests.functions:forks_a_child_that_leaves", {}, "the child left with 3")

    def test_what_is_not_json_is_named_with_its_place(self) -> None:
        places = {
            "not_json": "at /scores/1/when is a builtins.object",
            "nan": "at /a~1b/1 is nan; return None for it",
            "circle": "at /0 contains itself",
            "half_a_character": "the value itself holds half of a surrogate pair",
        }
        for function, place in places.items():
            with self.subTest(function):
                message, _ = self.fails(f"tests.functions:{function}")
                self.assertEqual(message, f"the result is not JSON: {place}")
                self.assertFalse(self.transient)

    def test_a_terminated_job_dies_of_the_signal_and_leaves_no_report(self) -> None:
        attempt = Attempt(self, "tests.functions:waits_for_ever")
        started = attempt.directory / "started"
        process = attempt.start({"started": str(started)})
        self.addCleanup(process.kill)
        until(started.exists)
        process.terminate()
        self.assertEqual(process.wait(timeout=30), -signal.SIGTERM)
        self.assertFalse((attempt.directory / "report.json").exists())

    def test_a_report_that_cannot_be_written_is_no_success(self) -> None:
        attempt = Attempt(self, "tests.functions:add")
        attempt.variables["LONGSHORE_REPORT"] = str(attempt.directory / "absent" / "report.json")
        self.assertEqual(attempt.start({"a": 1}).wait(timeout=30), 1)
        self.assertIn("the report cannot be written", attempt.output())

    def test_a_damaged_description_is_reported(self) -> None:
        attempt = Attempt(self, "tests.functions:add")
        attempt.variables["LONGSHORE_JOB"] = os.devnull
        self.assertIn("the job's description cannot be read", attempt.run()["error_message"])

    def test_outside_of_a_job_it_says_so(self) -> None:
        run = subprocess.run(
            [sys.executable, "-m", "longshore.entry"],
            env={"PYTHONPATH": str(PACKAGE)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        self.assertEqual(run.returncode, 2)
        self.assertIn("LONGSHORE_JOB, LONGSHORE_PARAMS, LONGSHORE_REPORT is not set", run.stderr)

    def test_ten_megabytes_of_parameters_and_result_pass(self) -> None:
        value = "x" * (10 * 1024 * 1024)
        self.succeeds("tests.functions:gives", {"value": value}, value)

    def test_a_long_message_is_cut(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "loud.py").write_text(
                "def shout():\n    raise ValueError('a' * 100_000)"
            )
            attempt = Attempt(self, "loud:shout")
            attempt.variables["PYTHONPATH"] += os.pathsep + directory
            message = attempt.run()["error_message"]
        self.assertLess(len(message), 17_000)
        self.assertTrue(message.endswith("more characters)"), message[-50:])
        json.dumps(message).encode()


if __name__ == "__main__":
    unittest.main()
