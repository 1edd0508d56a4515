"""The client, against a server that answers what a test tells it to."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import unittest
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import longshore
from longshore import (
    ApiError,
    Client,
    ClientError,
    Progress,
    Status,
    Submission,
    Submitted,
    Unreachable,
    WaitTimeout,
)
from longshore import client as client_module

JOB = {
    "job_id": "0198",
    "job_name": "score",
    "params": {"a": 1},
    "status": "PENDING",
    "result": None,
    "error_message": None,
    "retry_count": 0,
    "timeout": 60.0,
    "creation_time": 1,
    "last_update_time": 2,
    "workspace": "default",
    "executor_backend": "local",
    "attempt": 0,
    "started_at": None,
    "finished_at": None,
    "status_message": None,
    "progress": None,
    "progress_updated_at": None,
    "cancel_reason": None,
    "a_field_of_a_newer_host": True,
}


class Host:
    """Answers requests in the order of ``answers`` (status, body), and keeps what was asked."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.extra: dict[str, str] = {}
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                host.asked.append((self.command, self.path, body))
                host.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, content = host.answers.pop(0)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in host.extra.items():
                    self.send_header(name, value)
                if "Transfer-Encoding" not in host.extra:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.02])
        self.thread.start()
        test.addCleanup(self.stop)

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class HostTest(unittest.TestCase):
    def setUp(self) -> None:
        self.host = Host(self)
        self.client = Client(self.host.url, token="secret")

    def answer(self, *answers: Any) -> None:
        self.host.answers += [(200, answer) for answer in answers]


class Calls(HostTest):
    def test_a_submission_sends_only_what_was_given(self) -> None:
        self.answer(JOB, JOB)
        job = self.client.submit("score", {"a": 1})
        self.assertEqual((job.job_id, job.status, job.params), ("0198", Status.PENDING, {"a": 1}))
        when = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self.client.submit(
            "score", timeout=5, priority=3, run_at=when, workspace="w", idempotency_key="k"
        )
        self.assertEqual(
            self.host.asked,
            [
                ("POST", "/api/3.0/jobs/", {"job_name": "score", "params": {"a": 1}}),
                (
                    "POST",
                    "/api/3.0/jobs/",
                    {
                        "job_name": "score",
                        "params": {},
                        "timeout": 5,
                        "priority": 3,
                        "run_at": 1767225600000,
                        "workspace": "w",
                        "idempotency_key": "k",
                    },
                ),
            ],
        )
        self.assertEqual(self.host.headers[0]["authorization"], "Bearer secret")
        self.assertEqual(self.host.headers[0]["content-type"], "application/json")

    def test_a_job_that_is_stored_but_cannot_be_shown_is_submitted(self) -> None:
        unread = {"code": "accepted_unread", "message": "job 0198 is stored", "job_id": "0198"}
        unwell = {"code": "storage_unavailable", "message": "not now"}
        self.host.answers += [(202, {"error": unread}), (503, {"error": unwell})]
        self.answer({**JOB, "status": "SUCCEEDED"})
        job = self.client.submit("score", {"a": 1})
        self.assertEqual(
            (job.job_id, job.job_name, job.status, job.params),
            ("0198", "score", Status.PENDING, {"a": 1}),
        )
        self.assertEqual(self.client.wait(job.job_id).status, Status.SUCCEEDED)
        self.assertEqual([asked[0] for asked in self.host.asked], ["POST", "GET", "GET"])

    def test_many_go_in_one_request_and_come_back_in_order(self) -> None:
        self.answer({"jobs": [{"job_id": "1", "created": True}, {"job_id": "2", "created": False}]})
        jobs = self.client.submit_many([Submission("score", {"a": n}) for n in range(2)])
        self.assertEqual(jobs, [Submitted("1", True), Submitted("2", False)])
        ((method, path, body),) = self.host.asked
        self.assertEqual((method, path), ("POST", "/api/3.0/jobs/bulk"))
        self.assertEqual([job["params"] for job in body["jobs"]], [{"a": 0}, {"a": 1}])

    def test_reading_canceling_and_results(self) -> None:
        running = {**JOB, "status": "RUNNING", "progress": {"completed": 1, "total": 2, "new": 3}}
        self.answer(running, {**JOB, "status": "CANCELED"}, {"scores": [1]}, None)
        self.assertEqual(self.client.get("0198").progress, Progress(completed=1, total=2))
        self.assertEqual(self.client.cancel("0198").status, Status.CANCELED)
        self.assertEqual(self.client.result("0198"), {"scores": [1]})
        self.assertIsNone(self.client.result("../0198"))
        self.assertEqual(
            [asked[:2] for asked in self.host.asked],
            [
                ("GET", "/api/3.0/jobs/0198"),
                ("PATCH", "/api/3.0/jobs/cancel/0198"),
                ("GET", "/api/3.0/jobs/0198/result"),
                ("GET", "/api/3.0/jobs/..%2F0198/result"),
            ],
        )

    def test_a_search_goes_on_where_a_page_ended(self) -> None:
        self.answer({"jobs": [JOB], "next_page_token": "t"}, {"jobs": [], "next_page_token": None})
        page = self.client.search(job_name="score", statuses=[Status.FAILED, "TIMEOUT"])
        self.assertEqual((len(page.jobs), page.next_page_token), (1, "t"))
        last = self.client.search(page_token="t", max_results=5, params={"a": 1}, workspace="w")
        self.assertEqual((len(last.jobs), last.next_page_token), (0, None))
        self.assertEqual(
            [asked[2] for asked in self.host.asked],
            [
                {"job_name": "score", "statuses": ["FAILED", "TIMEOUT"]},
                {"page_token": "t", "max_results": 5, "params": {"a": 1}, "workspace": "w"},
            ],
        )

    def test_a_search_for_all_follows_the_pages_and_no_further_than_it_must(self) -> None:
        second = {**JOB, "job_id": "0199"}
        self.answer(
            {"jobs": [JOB], "next_page_token": "t"},
            {"jobs": [], "next_page_token": "u"},
            {"jobs": [second], "next_page_token": None},
        )
        found = self.client.search_all(workspace="w")
        self.assertEqual((next(found).job_id, len(self.host.asked)), (JOB["job_id"], 1))
        self.assertEqual([job.job_id for job in found], ["0199"])
        self.assertEqual(
            [asked[2] for asked in self.host.asked],
            [
                {"workspace": "w"},
                {"workspace": "w", "page_token": "t"},
                {"workspace": "w", "page_token": "u"},
            ],
        )

    def test_a_status_that_does_not_exist_is_found_before_it_is_sent(self) -> None:
        with self.assertRaises(ValueError):
            self.client.search(statuses=["CANCELLED"])
        self.assertEqual(self.host.asked, [])

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "has no time zone"):
            self.client.submit("score", run_at=datetime(2026, 1, 1))
        self.assertEqual(self.host.asked, [])

    def test_logs_are_read_in_one_request(self) -> None:
        # Between two, the attempt could end, and its offsets with it.
        self.answer("one é".encode())
        self.assertEqual("".join(self.client.logs("0198")), "one é")
        self.assertEqual([asked[1] for asked in self.host.asked], ["/api/3.0/jobs/0198/logs?all=true"])

    def test_logs_are_followed_in_one_request(self) -> None:
        text = "é" * 100_000
        self.answer(text.encode())
        self.assertEqual("".join(self.client.logs("0198", follow=True)), text)
        self.assertEqual(self.host.asked[0][1], "/api/3.0/jobs/0198/logs?follow=true")

    def test_an_answer_that_breaks_off_is_no_answer(self) -> None:
        self.host.extra = {"Transfer-Encoding": "chunked"}
        self.answer(b"ff\r\nhal")
        with self.assertRaisesRegex(Unreachable, "no answer from"):
            self.client.get("0198")

    def test_a_refusal_carries_the_hosts_code_and_message(self) -> None:
        reason = "no job type is called `x`"
        refusal = {"error": {"code": "unknown_job_type", "message": reason, "field": "job_name"}}
        self.host.answers.append((404, refusal))
        with self.assertRaises(ApiError) as caught:
            self.client.submit("x")
        error = caught.exception
        self.assertEqual((error.status, error.code), (404, "unknown_job_type"))
        self.assertEqual((error.message, error.field), (reason, "job_name"))
        self.assertEqual(str(error), f"job_name: {reason} (unknown_job_type, HTTP 404)")

    def test_an_answer_of_something_else_is_recognised(self) -> None:
        self.host.answers += [(502, b"<html>bad gateway</html>"), (200, b"<html>hello</html>")]
        with self.assertRaisesRegex(ApiError, "bad gateway"):
            self.client.get("0198")
        with self.assertRaisesRegex(ClientError, "is it a Longshore host"):
            self.client.get("0198")

    def test_a_redirect_does_not_take_the_token_along(self) -> None:
        self.host.extra["Location"] = "/elsewhere"
        self.host.answers.append((302, b""))
        with self.assertRaises(ApiError):
            self.client.get("0198")
        self.assertEqual(len(self.host.asked), 1)

    def test_a_proxy_is_not_asked_for_this_machine(self) -> None:
        self.answer(JOB)
        with mock.patch.dict(os.environ, {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}):
            client = Client(self.host.url, token="secret")
            self.assertEqual(client.get("0198").job_id, "0198")


class Waiting(HostTest):
    def test_waiting_ends_at_a_final_status_and_shows_every_change_once(self) -> None:
        running = {**JOB, "status": "RUNNING", "attempt": 1}
        half = {**running, "progress": {"completed": 1, "total": 2}}
        lost = {**half, "status": "NEEDS_RECOVERY"}
        done = {**JOB, "status": "SUCCEEDED", "result": 3}
        self.answer(JOB, JOB, running, half, half, lost, half, done)
        shown: list[Any] = []
        job = self.client.wait("0198", on_progress=lambda j: shown.append((j.status, j.progress)))
        self.assertEqual((job.status, job.result), (Status.SUCCEEDED, 3))
        one = Progress(completed=1, total=2)
        self.assertEqual(
            shown,
            [
                (Status.PENDING, None),
                (Status.RUNNING, None),
                (Status.RUNNING, one),
                (Status.NEEDS_RECOVERY, one),
                (Status.RUNNING, one),
                (Status.SUCCEEDED, None),
            ],
        )

    def test_a_job_that_failed_is_returned_not_raised(self) -> None:
        self.answer({**JOB, "status": "FAILED", "error_message": "no"})
        self.assertEqual(self.client.wait("0198").error_message, "no")

    def test_waiting_has_an_end(self) -> None:
        self.host.answers += [(200, JOB)] * 1000
        with self.assertRaisesRegex(WaitTimeout, "job 0198 is PENDING after 0.2 s") as caught:
            self.client.wait("0198", timeout=0.2)
        self.assertIsInstance(caught.exception, TimeoutError)
        self.assertEqual(caught.exception.job.status, Status.PENDING)

    def test_a_host_that_restarts_is_waited_for(self) -> None:
        self.answer(JOB, JOB, {**JOB, "status": "SUCCEEDED"})
        ask, times = self.client.get, 0

        def get(job_id: str) -> longshore.Job:
            nonlocal times
            times += 1
            if times in (2, 3):
                raise Unreachable("restarting")
            return ask(job_id)

        with mock.patch.object(self.client, "get", get):
            self.assertEqual(self.client.wait("0198").status, Status.SUCCEEDED)

    def test_a_host_that_stays_away_is_given_up(self) -> None:
        self.answer(JOB)
        with mock.patch.object(client_module, "_PATIENCE", 0.1):
            with self.assertRaises(Unreachable):
                self.client.wait("0198", on_progress=lambda _: self.host.stop())

    def test_a_host_that_stays_unwell_is_given_up(self) -> None:
        unwell = {"code": "storage_unavailable", "message": "not now"}
        self.host.answers += [(503, {"error": unwell})] * 100
        with self.assertRaisesRegex(ApiError, "not now"):
            self.client.wait("0198", timeout=0.1)
        with mock.patch.object(client_module, "_PATIENCE", 0.1):
            with self.assertRaisesRegex(ApiError, "not now"):
                self.client.wait("0198")

    def test_a_job_that_is_not_there_is_not_waited_for(self) -> None:
        self.host.answers.append((404, {"error": {"code": "job_not_found", "message": "no job"}}))
        with self.assertRaisesRegex(ApiError, "no job"):
            self.client.wait("0198")

    def test_a_host_that_never_answered_is_not_waited_for(self) -> None:
        self.host.stop()
        with self.assertRaisesRegex(Unreachable, "no answer from http://127.0.0.1:"):
            self.client.wait("0198")


class Settings(unittest.TestCase):
    def made(self, *arguments: Any, **variables: str) -> Client:
        with mock.patch.dict(os.environ, variables):
            for name in ("LONGSHORE_URL", "LONGSHORE_TOKEN", "LONGSHORE_TOKEN_FILE"):
                if name not in variables:
                    os.environ.pop(name, None)
            return Client(*arguments)

    def test_what_is_given_beats_the_environment(self) -> None:
        client = self.made("http://a.example/", "x", LONGSHORE_URL="http://b.example")
        self.assertEqual((client.url, client._token), ("http://a.example", "x"))

    def test_the_environment_beats_the_default(self) -> None:
        client = self.made(LONGSHORE_URL="https://b.example", LONGSHORE_TOKEN="y")
        self.assertEqual((client.url, client._token), ("https://b.example", "y"))
        self.assertEqual(self.made(LONGSHORE_TOKEN="y").url, "http://127.0.0.1:7878")

    def test_a_token_file_is_read(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "token")
            path.write_text("z\n")
            self.assertEqual(self.made(LONGSHORE_TOKEN_FILE=str(path))._token, "z")
            path.write_text("\n")
            with self.assertRaisesRegex(ClientError, "is empty"):
                self.made(LONGSHORE_TOKEN_FILE=str(path))
            with self.assertRaisesRegex(ClientError, "cannot be read from"):
                self.made(LONGSHORE_TOKEN_FILE=str(path / "absent"))

    def test_mistakes_say_what_to_do(self) -> None:
        with self.assertRaisesRegex(ClientError, "LONGSHORE_TOKEN_FILE"):
            self.made()
        with self.assertRaisesRegex(ClientError, "not the http or https URL"):
            self.made("localhost:7878", "x")

    def test_everything_offered_can_be_had(self) -> None:
        for name in longshore.__all__:
            self.assertTrue(hasattr(longshore, name), name)
        self.assertFalse(hasattr(longshore, "absent"))


if __name__ == "__main__":
    unittest.main()
