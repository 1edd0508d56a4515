"""MLflow's own job function, run by Longshore's entry point as an executor runs it.

Installs MLflow, into a directory that is kept if ``LONGSHORE_TEST_ENVIRONMENTS`` names one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "sdk" / "python"
REQUIREMENT = "mlflow==3.17.2"


class InvokeScorer(unittest.TestCase):
    def test_mlflows_function_reads_traces_and_writes_assessments_without_a_change_to_it(
        self,
    ) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            self.directory = Path(temporary)
            environments = os.environ.get(
                "LONGSHORE_TEST_ENVIRONMENTS", f"{temporary}/environments"
            )
            # The first job only says where its interpreter is, which then prepares and checks.
            found = self.run_job("shutil:which", {"cmd": "python"}, environments)
            self.assertEqual(found["status"], "SUCCEEDED", found)
            python = found["result"]

            prepare = [python, HERE / "prepare.py", self.directory / "store"]
            prepared = json.loads(
                subprocess.run(prepare, check=True, stdout=subprocess.PIPE).stdout
            )
            report = self.run_job(
                "mlflow.genai.scorers.job.invoke_scorer_job",
                prepared["params"],
                environments,
                MLFLOW_TRACKING_URI=prepared["tracking_uri"],
                MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS="true",
            )
            self.assertEqual(report["status"], "SUCCEEDED", report)
            self.assertEqual(sorted(report["result"]), sorted(prepared["trace_ids"]))
            for trace in report["result"].values():
                self.assertEqual(trace["failures"], [])

            check = [python, HERE / "check.py", prepared["tracking_uri"], *prepared["trace_ids"]]
            checked = subprocess.run(check, stdout=subprocess.PIPE, text=True)
            self.assertEqual(checked.returncode, 0, checked.stdout)

    def run_job(
        self, function: str, params: dict[str, Any], environments: str, **variables: str
    ) -> Any:
        job = {
            "job_id": "0198c5f0-0000-7000-8000-000000000001",
            "attempt_tag": "f" * 32,
            "attempt": 1,
            "job_type": "invoke_scorer",
            "workspace": "default",
            "function": function,
            "python": {"requirements": [REQUIREMENT]},
            "environments_dir": environments,
        }
        paths = {name: self.directory / f"{name}.json" for name in ("job", "params", "report")}
        paths["job"].write_text(json.dumps(job))
        paths["params"].write_text(json.dumps(params))
        paths["report"].unlink(missing_ok=True)
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.directory),
            "PYTHONPATH": str(PACKAGE),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **{name: os.environ[name] for name in os.environ if name.startswith("PIP_")},
            **{f"LONGSHORE_{name.upper()}": str(path) for name, path in paths.items()},
            **variables,
        }
        command = [sys.executable, "-m", "longshore.entry"]
        subprocess.run(command, env=environment, cwd=self.directory, timeout=900)
        return json.loads(paths["report"].read_text())


if __name__ == "__main__":
    unittest.main()
