"""Python environments: built once, never believed when unfinished."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from longshore.environment import MARKER, Environment
from longshore.requirements import check_requirement
from tests.attempt import Attempt
from tests.package_index import PackageIndex
from tests.waiting import until


class Environments(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name).resolve() / "environments"

    def attempt(self, *requirements: str, index: str | None) -> Attempt:
        attempt = Attempt(
            self,
            "tests.functions:imports",
            python={"requirements": list(requirements), "index_url": index},
            environments_dir=str(self.directory),
        )
        # Only the index that the job names, however this machine finds packages.
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
            attempt.variables.pop(name, None)
        # One try each: what pip does between its tries is not what is tested.
        attempt.variables["PIP_RETRIES"] = "0"
        return attempt

    def harbour(self, attempt: Attempt) -> Any:
        report = attempt.run({"module": "harbour"})
        self.assertEqual(report["status"], "SUCCEEDED", report)
        return report["result"]

    def environments(self) -> list[Path]:
        return [path for path in self.directory.iterdir() if path.is_dir()]

    def test_a_function_runs_in_the_environment_that_its_job_asks_for_and_so_does_the_next(
        self,
    ) -> None:
        index = PackageIndex(self)
        attempt = self.attempt("harbour==1.0", index=index.url)
        where = self.harbour(attempt)
        (environment,) = self.environments()
        self.assertEqual(where["prefix"], str(environment))
        self.assertTrue(where["file"].startswith(str(environment)), where)
        self.assertEqual(where["path"], str(environment / "bin"))
        self.assertIn("longshore: installing harbour==1.0", attempt.output())

        second = self.attempt(" harbour==1.0", "harbour==1.0", index=index.url)
        self.assertEqual(self.harbour(second)["prefix"], where["prefix"])
        self.assertEqual(index.downloads, 1)
        self.assertIsNone(second.progress())

    def test_users_see_the_set_up_and_it_is_cleared_when_the_function_starts(self) -> None:
        index = PackageIndex(self)
        index.go_on.clear()
        attempt = self.attempt("harbour==1.0", index=index.url)
        process = attempt.start({"module": "harbour"})
        self.addCleanup(process.kill)
        until(lambda: index.downloads)
        self.assertEqual(
            attempt.progress(),
            {"message": "installing harbour==1.0", "progress": {"phase": "set-up"}},
        )
        index.go_on.set()
        self.assertEqual(process.wait(timeout=120), 0, attempt.output())
        self.assertEqual(
            attempt.report()["result"]["progress"], {"message": None, "progress": None}
        )

    def test_two_jobs_at_once_install_once(self) -> None:
        index = PackageIndex(self)
        index.go_on.clear()
        attempts = [self.attempt("harbour==1.0", index=index.url) for _ in range(2)]
        processes = [attempt.start({"module": "harbour"}) for attempt in attempts]
        for process in processes:
            self.addCleanup(process.kill)

        def one_waits_for_the_other() -> bool:
            outputs = [attempt.output() for attempt in attempts]
            return index.downloads == 1 and any("waiting for another job" in o for o in outputs)

        until(one_waits_for_the_other)
        index.go_on.set()
        for process, attempt in zip(processes, attempts):
            self.assertEqual(process.wait(timeout=120), 0, attempt.output())
        self.assertEqual(index.downloads, 1)
        self.assertEqual(len(self.environments()), 1)

    def test_after_a_kill_in_mid_install_the_next_job_installs_anew(self) -> None:
        index = PackageIndex(self)
        index.go_on.clear()
        killed = self.attempt("harbour==1.0", index=index.url)
        process = killed.start({"module": "harbour"}, start_new_session=True)
        until(lambda: index.downloads)
        # As a keeper kills: everything of the attempt at once.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        (left,) = self.environments()
        self.assertFalse((left / MARKER).exists())
        (left / "litter").touch()
        index.go_on.set()
        where = self.harbour(self.attempt("harbour==1.0", index=index.url))
        self.assertEqual(where["prefix"], str(left))
        self.assertFalse((left / "litter").exists())
        self.assertTrue((left / MARKER).exists())

    def test_nobody_builds_where_an_orphaned_pip_still_writes(self) -> None:
        index = PackageIndex(self)
        index.go_on.clear()
        killed = self.attempt("harbour==1.0", index=index.url)
        process = killed.start({"module": "harbour"}, start_new_session=True)
        until(lambda: index.downloads)
        process.kill()  # the entry point alone; its pip goes on
        process.wait()
        follower = self.attempt("harbour==1.0", index=index.url)
        follows = follower.start({"module": "harbour"})
        self.addCleanup(follows.kill)
        until(lambda: "waiting for another job" in follower.output())
        os.killpg(process.pid, signal.SIGKILL)
        index.go_on.set()
        self.assertEqual(follows.wait(timeout=120), 0, follower.output())

    def test_requirements_that_do_not_resolve_fail_for_good_and_name_package_and_interpreter(
        self,
    ) -> None:
        index = PackageIndex(self)
        report = self.attempt("harbour==9.9", index=index.url).run()
        message = report["error_message"]
        self.assertFalse(report["is_transient_error"], message)
        self.assertIn("cannot be installed: harbour==9.9 for ", message)
        self.assertIn(f"Python {sys.version.split()[0]} (/", message)
        self.assertIn("(from versions: 1.0)", message)
        # Nothing half-made stays for ever.
        self.assertEqual(self.environments(), [])

    def test_an_index_that_cannot_be_reached_is_worth_another_try(self) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused, and stays so
            port = nobody.getsockname()[1]
            secret = f"http://user:hunter2@127.0.0.1:{port}/simple"
            attempt = self.attempt("harbour", index=secret)
            report = attempt.run()
        self.assertTrue(report["is_transient_error"], report)
        self.assertIn("the package index could not be reached", report["error_message"])
        for text in (report["error_message"], attempt.output()):
            self.assertNotIn("hunter2", text)

    def test_an_index_that_is_out_of_order_is_worth_another_try(self) -> None:
        index = PackageIndex(self)
        report = self.attempt("harbour", index=f"{index.origin}/broken").run()
        self.assertTrue(report["is_transient_error"], report)

    def test_options_and_local_files_are_refused_before_anything_is_made(self) -> None:
        report = self.attempt("--index-url=http://example.org", index=None).run()
        self.assertIn("is not a requirement", report["error_message"])
        self.assertFalse(report["is_transient_error"])
        self.assertFalse(self.directory.exists())

    def test_what_an_environment_is_made_of_decides_which_one_it_is(self) -> None:
        def key(*requirements: str, index: str | None = None) -> str:
            return Environment(str(self.directory), requirements, index).key

        self.assertEqual(key("a==1", "b"), key("b", "a==1 ", "b"))
        different = {key("a"), key("a==1"), key("a", "b"), key("a", index="https://i.example")}
        self.assertEqual(len(different), 4)

    def test_an_unwritable_directory_is_reported(self) -> None:
        self.directory.write_text("a file")
        report = self.attempt("harbour", index=None).run()
        self.assertIn("cannot be built", report["error_message"])

    def test_a_job_without_requirements_runs_in_the_interpreter_itself(self) -> None:
        attempt = self.attempt(index=None)
        result = attempt.run({"module": "json"})["result"]
        self.assertEqual(result["prefix"], sys.prefix)
        self.assertFalse(self.directory.exists())

    def test_a_package_from_the_real_index_is_installed(self) -> None:
        attempt = self.attempt("six==1.16.0", index=None)
        attempt.variables.update({n: v for n, v in os.environ.items() if n.startswith("PIP_")})
        report = attempt.run({"module": "six"})
        self.assertEqual(report["status"], "SUCCEEDED", report)
        self.assertEqual(report["result"]["version"], "1.16.0")
        self.assertTrue(report["result"]["file"].startswith(str(self.directory)))

    def test_an_installed_longshore_brings_only_itself_into_the_environment(self) -> None:
        index = PackageIndex(self)
        site = self.directory.parent / "site"
        site.mkdir()
        package = Path(__file__).resolve().parent.parent / "longshore"
        (site / "longshore").symlink_to(package)
        (site / "tests").symlink_to(package.parent / "tests")
        (site / "neighbour.py").touch()
        attempt = self.attempt("harbour", index=index.url)
        # Found through the interpreter's own search path, as an installed package is; only the
        # tests' functions are on PYTHONPATH.
        functions = self.directory.parent / "functions"
        functions.mkdir()
        (functions / "tests").symlink_to(package.parent / "tests")
        attempt.variables["PYTHONPATH"] = str(functions)
        bootstrap = f"import sys; sys.path.append({str(site)!r}); " + (
            "import runpy; runpy.run_module('longshore.entry', run_name='__main__')"
        )
        attempt.start({"module": "harbour"}).wait(timeout=60)  # writes the files; finds no package
        with open(attempt.directory / "output", "w") as output:
            subprocess.run(
                [sys.executable, "-c", bootstrap],
                env=attempt.variables,
                cwd=attempt.directory / "work",
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=120,
            )
        result = attempt.report()["result"]
        self.assertNotIn(str(site), result["sys_path"])
        self.assertEqual(result["version"], "1.0")


class Requirements(unittest.TestCase):
    def test_specifiers_are_accepted(self) -> None:
        for requirement in (
            "six",
            "scikit-learn==1.5.0",
            "requests[socks,security] >=2, <3",
            "uvloop; platform_system != 'Windows'",
            "pkg @ https://example.org/pkg-1.0.tar.gz",
            "pkg @ git+https://example.org/pkg.git@v1",
        ):
            with self.subTest(requirement):
                self.assertIsNone(check_requirement(requirement))

    def test_options_files_and_paths_are_refused(self) -> None:
        for requirement in (
            "",
            "-r requirements.txt",
            "--extra-index-url=https://example.org",
            "-e .",
            ".",
            "./pkg",
            "/srv/pkg.whl",
            "pkg @ file:///srv/pkg",
            "pkg @ ./pkg",
            "file:///srv/pkg",
            "six --index-url https://example.org",
            "six\n--pre",
        ):
            with self.subTest(requirement):
                self.assertIn("is not a requirement", check_requirement(requirement) or "")


if __name__ == "__main__":
    unittest.main()
