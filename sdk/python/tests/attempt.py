"""An attempt's directory, as an executor lays it out, and the entry point run in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent


class Attempt:
    """One attempt of one job. Everything of it is in ``directory``, which the test removes."""

    def __init__(self, test: unittest.TestCase, function: str, **job: Any) -> None:
        temporary = tempfile.TemporaryDirectory()
        test.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.job: dict[str, Any] = {
            "job_id": "0198c5f0-0000-7000-8000-000000000001",
            "attempt_tag": "f" * 32,
            "attempt": 2,
            "job_type": "test",
            "workspace": "default",
            "function": function,
            "transient_errors": [],
            "context": {},
            **job,
        }
        self.variables = {
            "PATH": os.defpath,
            # The way into the package index, if this machine needs one.
            **{name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "SSL_"))},
            "PYTHONPATH": str(PACKAGE),
            "LONGSHORE_JOB": str(self.directory / "job.json"),
            "LONGSHORE_PARAMS": str(self.directory / "params.json"),
            "LONGSHORE_REPORT": str(self.directory / "report.json"),
            "LONGSHORE_PROGRESS": str(self.directory / "progress.json"),
        }

    def start(self, params: Any = None, **popen: Any) -> subprocess.Popen[str]:
        """Starts the entry point; its output is in ``output``."""
        (self.directory / "job.json").write_text(json.dumps(self.job))
        (self.directory / "params.json").write_text(json.dumps({} if params is None else params))
        (self.directory / "work").mkdir(exist_ok=True)
        with open(self.directory / "output", "w") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "longshore.entry"],
                env=self.variables,
                cwd=self.directory / "work",
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                **popen,
            )

    def run(self, params: Any = None) -> dict[str, Any]:
        """Runs the job to its end; returns its report."""
        status = self.start(params).wait(timeout=120)
        report = self.report()
        expected = 0 if report["status"] == "SUCCEEDED" else 1
        if status != expected:
            raise AssertionError(f"exit status {status} with the report {report}")
        return report

    def report(self) -> dict[str, Any]:
        path = self.directory / "report.json"
        if not path.exists():
            raise AssertionError(f"there is no report; the output is:\n{self.output()}")
        report = json.loads(path.read_text())
        assert isinstance(report, dict)
        return report

    def progress(self) -> Any:
        path = self.directory / "progress.json"
        return json.loads(path.read_text()) if path.exists() else None

    def output(self) -> str:
        return (self.directory / "output").read_text(errors="replace")
