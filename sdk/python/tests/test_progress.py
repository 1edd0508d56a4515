"""`report_progress`: the latest is there, and nothing it meets fails a job."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from longshore import progress
from longshore.progress import clear_progress, report_progress


class Progress(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name, "progress.json")
        patches: list[Any] = [
            mock.patch.dict(os.environ, {"LONGSHORE_PROGRESS": str(self.path)}),
            mock.patch.object(progress, "_message", progress._UNSET),
            mock.patch.object(progress, "_counts", {}),
        ]
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)

    def reported(self) -> Any:
        return json.loads(self.path.read_text())

    def test_what_was_never_given_is_left_out(self) -> None:
        report_progress(completed=3)
        self.assertEqual(self.reported(), {"progress": {"completed": 3}})

    def test_a_message_alone_says_nothing_of_counts(self) -> None:
        report_progress("reading")
        self.assertEqual(self.reported(), {"message": "reading"})

    def test_a_report_of_one_field_does_not_hide_the_one_before_it(self) -> None:
        report_progress("reading", phase="load", total=10)
        report_progress(completed=4)
        self.assertEqual(
            self.reported(),
            {"message": "reading", "progress": {"phase": "load", "total": 10, "completed": 4}},
        )

    def test_none_clears(self) -> None:
        report_progress("reading", phase="load", completed=1)
        report_progress(None, phase=None)
        self.assertEqual(
            self.reported(), {"message": None, "progress": {"phase": None, "completed": 1}}
        )
        report_progress(completed=None)
        self.assertEqual(self.reported(), {"message": None, "progress": None})

    def test_clearing_forgets_everything(self) -> None:
        report_progress("reading", phase="load", completed=1)
        clear_progress()
        self.assertEqual(self.reported(), {"message": None, "progress": None})

    def test_wrong_types_are_refused_and_change_nothing(self) -> None:
        report_progress(completed=1, total=2)
        wrong: list[dict[str, Any]] = [
            {"completed": 1.0},
            {"completed": True},
            {"total": "2"},
            {"message": 7},
            {"phase": b"load"},
            {"unit": 1},
        ]
        for arguments in wrong:
            with self.subTest(arguments), self.assertRaises(TypeError):
                report_progress(**arguments)
        self.assertEqual(self.reported(), {"progress": {"completed": 1, "total": 2}})

    def test_counts_that_make_no_sense_are_refused_and_change_nothing(self) -> None:
        report_progress(completed=1, total=2)
        senseless: list[dict[str, Any]] = [{"completed": -1}, {"completed": 3}, {"total": 0}]
        for arguments in (*senseless, {"total": 2**63}):
            with self.subTest(arguments), self.assertRaises(ValueError):
                report_progress(**arguments)
        report_progress(completed=3, total=3)
        self.assertEqual(self.reported(), {"progress": {"completed": 3, "total": 3}})

    def test_text_is_made_fit_to_be_shown(self) -> None:
        report_progress("a\x1b[31mb\ud800\nc" + "d" * 2000, unit="u" * 200)
        reported = self.reported()
        self.assertTrue(reported["message"].startswith("a [31mb  cddd"))
        self.assertEqual(len(reported["message"]), 1000)
        self.assertEqual(len(reported["progress"]["unit"]), 100)

    def test_a_report_that_cannot_be_written_is_dropped(self) -> None:
        with mock.patch.dict(os.environ, {"LONGSHORE_PROGRESS": str(self.path / "absent" / "x")}):
            report_progress("reading")
        self.assertFalse(self.path.exists())

    def test_outside_of_a_job_nothing_is_written_but_mistakes_are_found(self) -> None:
        with mock.patch.dict(os.environ):
            del os.environ["LONGSHORE_PROGRESS"]
            report_progress("reading", completed=1)
            with self.assertRaises(ValueError):
                report_progress(completed=-1)
        self.assertEqual(os.listdir(self.path.parent), [])

    def test_readers_never_see_half_a_report_and_the_last_one_lands(self) -> None:
        report_progress(completed=0)
        done = threading.Event()
        mistakes: list[object] = []

        def read() -> None:
            while not done.is_set():
                try:
                    self.reported()
                except ValueError as error:
                    mistakes.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]

        def write() -> None:
            for length in range(100):
                report_progress(phase="p" * length)

        writers = [threading.Thread(target=write) for _ in range(4)]
        for thread in readers + writers:
            thread.start()
        for thread in writers:
            thread.join()
        report_progress("last")
        done.set()
        for thread in readers:
            thread.join()
        self.assertEqual(mistakes, [])
        self.assertEqual(self.reported()["message"], "last")
        self.assertEqual(os.listdir(self.path.parent), ["progress.json"])

    def test_a_child_forked_while_the_lock_was_held_can_report(self) -> None:
        with progress._lock:
            child = os.fork()
            if child == 0:
                # A lock taken over in its locked state would keep this child here for ever.
                report_progress("from the child")
                os._exit(0)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(self.reported()["message"], "from the child")


if __name__ == "__main__":
    unittest.main()
