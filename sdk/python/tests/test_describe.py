"""`python -m longshore.describe`: one JSON document, whatever the modules do."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from tests.attempt import PACKAGE

SCORING = '''
import os
import longshore

print("chatter of the module")
os.system("echo chatter of its children")

class Busy(Exception):
    pass

@longshore.job(
    name="score",
    max_workers=2,
    timeout=60,
    transient_error_classes=[Busy, TimeoutError],
    exclusive=["experiment"],
    pip_requirements=["six==1.16.0"],
    resource_limits={"memory": "1Gi"},
)
def score(experiment: str, *, limit: int = 10, **more: object) -> None:
    """Scores a batch.

    And says so.
    """

@longshore.job(name="plain")
def plain(a, b):
    pass

def not_a_job():
    pass
'''


class Describe(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def run_with(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "longshore.describe", *arguments],
            env={"PYTHONPATH": str(PACKAGE), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def describe(self, *modules: str, **sources: str) -> Any:
        for name, source in sources.items():
            (self.directory / f"{name}.py").write_text(source)
        run = self.run_with("--path", str(self.directory), *modules)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.stderr = run.stderr
        return json.loads(run.stdout)

    def test_every_field_of_a_declaration_is_described(self) -> None:
        document = self.describe("scoring", scoring=SCORING)
        self.assertEqual(document["modules"], ["scoring"])
        self.assertEqual(document["errors"], [])
        self.assertEqual(
            document["jobs"],
            [
                {
                    "name": "score",
                    "function": "scoring:score",
                    "max_workers": 2,
                    "timeout": 60.0,
                    "transient_errors": ["scoring.Busy", "builtins.TimeoutError"],
                    "exclusive": ["experiment"],
                    "python": {"requirements": ["six==1.16.0"], "index_url": None},
                    "resources": {"requests": {}, "limits": {"memory": "1Gi"}},
                    "required_params": ["experiment"],
                    "optional_params": ["limit"],
                    "accepts_extra_params": True,
                    "doc": "Scores a batch.",
                },
                {
                    "name": "plain",
                    "function": "scoring:plain",
                    "max_workers": None,
                    "timeout": None,
                    "transient_errors": [],
                    "exclusive": False,
                    "python": None,
                    "resources": None,
                    "required_params": ["a", "b"],
                    "optional_params": [],
                    "accepts_extra_params": False,
                    "doc": "",
                },
            ],
        )

    def test_what_modules_print_does_not_get_into_the_document(self) -> None:
        self.describe("scoring", scoring=SCORING)
        self.assertIn("chatter of the module", self.stderr)
        self.assertIn("chatter of its children", self.stderr)

    def test_a_module_that_cannot_be_imported_is_an_error_and_the_rest_is_described(self) -> None:
        document = self.describe(
            "absent",
            "raises",
            "leaves",
            "malformed",
            "declares_wrongly",
            "scoring",
            scoring=SCORING,
            raises="raise ValueError('no')",
            leaves="import sys; sys.exit(0)",
            malformed="def",
            declares_wrongly=(
                "import longshore\n@longshore.job(name='x', max_workers=0)\ndef f(): pass"
            ),
        )
        self.assertEqual(len(document["jobs"]), 2)
        errors = {entry["module"]: entry["error"] for entry in document["errors"]}
        self.assertIn("No module named 'absent'", errors["absent"])
        self.assertEqual(errors["raises"], "cannot be imported: ValueError: no")
        self.assertEqual(errors["leaves"], "cannot be imported: SystemExit: 0")
        self.assertIn("SyntaxError", errors["malformed"])
        self.assertIn("@job on declares_wrongly.f: max_workers is 0", errors["declares_wrongly"])

    def test_a_name_declared_twice_is_an_error_that_names_both(self) -> None:
        source = "import longshore\n@longshore.job(name='same')\ndef {0}(): pass\n"
        document = self.describe("one", "two", one=source.format("f"), two=source.format("g"))
        self.assertEqual([job["function"] for job in document["jobs"]], ["one:f"])
        self.assertEqual(
            document["errors"],
            [
                {
                    "module": "two",
                    "error": "the job name 'same' is declared twice, by one:f and two:g",
                }
            ],
        )

    def test_a_function_offered_again_by_another_module_is_described_once(self) -> None:
        document = self.describe(
            "scoring", "again", scoring=SCORING, again="from scoring import score, plain"
        )
        self.assertEqual([job["name"] for job in document["jobs"]], ["score", "plain"])
        self.assertEqual(document["errors"], [])

    def test_a_thread_that_a_module_starts_does_not_keep_the_host_waiting(self) -> None:
        document = self.describe(
            "lingers",
            lingers=(
                "import threading, time\nthreading.Thread(target=time.sleep, args=[600]).start()\n"
            ),
        )
        self.assertEqual(document["errors"], [])

    def test_wrong_usage_is_the_only_failure(self) -> None:
        run = self.run_with("--path", str(self.directory))
        self.assertEqual(run.returncode, 2)
        self.assertEqual(run.stdout, "")
        self.assertIn("usage:", run.stderr)


if __name__ == "__main__":
    unittest.main()
