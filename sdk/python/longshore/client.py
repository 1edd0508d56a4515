"""Submits jobs to a host and follows them, over HTTP."""

from __future__ import annotations

import codecs
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Callable, TypeVar

from longshore.records import Job, Page, Status, Submission, Submitted

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:7878"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_PATIENCE = 60.0


class ClientError(Exception):
    """Something went wrong between this client and the host."""


class ApiError(ClientError):
    """The host answered, and refused."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        where = f"{field}: " if field else ""
        super().__init__(f"{where}{message} ({code}, HTTP {status})")
        self.status = status
        self.code = code
        """What the host calls this mistake, for programs."""
        self.message = message
        self.field = field
        """Which field of the request is wrong, such as ``params.experiment_id``."""


class Unreachable(ClientError):
    """No answer: the host does not run there, or the connection broke. Whether a request that
    changes something was carried out is then not known; submit with an ``idempotency_key`` to be
    able to ask again."""


class WaitTimeout(ClientError, TimeoutError):
    """The job was not finished in time. It goes on; ``job`` is what was last known of it."""

    def __init__(self, job: Job, seconds: float) -> None:
        super().__init__(f"job {job.job_id} is {job.status.value} after {seconds:g} s")
        self.job = job


class Client:
    """Talks to one host. Holds no connection; may be used by several threads."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        """Sends nothing yet.

        :param url: where the host is; ``LONGSHORE_URL`` if ``None``, else ``http://127.0.0.1:7878``.
        :param token: who is asking; ``LONGSHORE_TOKEN`` if ``None``, else the content of the file
            that ``LONGSHORE_TOKEN_FILE`` names.
        :raises ClientError: the URL is not one, or there is no token.
        """
        self.url = (url or os.environ.get("LONGSHORE_URL") or DEFAULT_URL).rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ClientError(f"{self.url!r} is not the http or https URL of a host")
        self._token = token or _find_token()
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if parts.hostname in ("localhost", "127.0.0.1", "::1"):
            # A proxy would be shown the token, and could not reach this machine's loopback anyway.
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def submit(
        self,
        job_name: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        priority: int | None = None,
        run_at: datetime | None = None,
        workspace: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submits one job; see :class:`Submission`.

        Of a job that the host has stored but cannot read back now, only the id is known:
        everything else is as it was submitted, or ``None``.

        :raises ApiError: the host refuses it; no job exists then.
        """
        submission = Submission(
            job_name, params or {}, timeout, priority, run_at, workspace, idempotency_key
        )
        answer = self._call("POST", "/", submission.to_request())
        if "error" in answer:
            # 202, `accepted_unread`: not a failure, and submitting again would make a second job.
            job_id = answer["error"]["job_id"]
            return Job(job_id, job_name, Status.PENDING, params=dict(submission.params))
        return Job.from_answer(answer)

    def submit_many(self, submissions: Iterable[Submission]) -> list[Submitted]:
        """Submits several jobs, all or none; answers in the same order. At most 10,000 at once."""
        jobs = [submission.to_request() for submission in submissions]
        answer = self._call("POST", "/bulk", {"jobs": jobs})
        return [Submitted.from_answer(job) for job in answer["jobs"]]

    def get(self, job_id: str) -> Job:
        """Reads a job."""
        return Job.from_answer(self._call("GET", f"/{_quote(job_id)}"))

    def result(self, job_id: str) -> Any:
        """Reads what a job that succeeded returned.

        :raises ApiError: it has not succeeded, or not yet.
        """
        return self._call("GET", f"/{_quote(job_id)}/result")

    def cancel(self, job_id: str) -> Job:
        """Cancels a job; canceling one that is canceled changes nothing.

        :raises ApiError: it has ended already.
        """
        return Job.from_answer(self._call("PATCH", f"/cancel/{_quote(job_id)}"))

    def search(
        self,
        *,
        job_name: str | None = None,
        params: Mapping[str, Any] | None = None,
        statuses: Sequence[Status | str] | None = None,
        workspace: str | None = None,
        max_results: int | None = None,
        page_token: str | None = None,
    ) -> Page:
        """Finds jobs; what is left out does not matter. One page, which may have fewer jobs than
        ``max_results`` because they are large; see ``next_page_token`` and :meth:`search_all`."""
        query = {
            "job_name": job_name,
            "params": params,
            "statuses": None if statuses is None else [Status(status).value for status in statuses],
            "workspace": workspace,
            "max_results": max_results,
            "page_token": page_token,
        }
        given = {name: value for name, value in query.items() if value is not None}
        answer = self._call("POST", "/search", given)
        jobs = [Job.from_answer(job) for job in answer["jobs"]]
        return Page(jobs, answer.get("next_page_token") or None)

    def search_all(
        self,
        *,
        job_name: str | None = None,
        params: Mapping[str, Any] | None = None,
        statuses: Sequence[Status | str] | None = None,
        workspace: str | None = None,
    ) -> Iterator[Job]:
        """Finds jobs, newest first, page after page for as long as it is asked for the next one."""
        token: str | None = None
        while True:
            page = self.search(
                job_name=job_name,
                params=params,
                statuses=statuses,
                workspace=workspace,
                page_token=token,
            )
            yield from page.jobs
            token = page.next_page_token
            if token is None:
                return

    def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        on_progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """Waits until a job is finished, well or not, and returns it.

        A host that is away or unwell for less than a minute, for a restart say, is waited for.

        :param timeout: seconds; for ever if ``None``.
        :param on_progress: called with the job whenever its status, message or progress changed.
        :raises WaitTimeout: it is not finished by then.
        :raises Unreachable: the host was away for too long.
        :raises ApiError: there is no such job, or the host was unwell for too long.
        """
        started = time.monotonic()
        pause = _FIRST_PAUSE
        shown: object = None
        job: Job | None = None
        heard = started
        while True:
            left = float("inf") if timeout is None else started + timeout - time.monotonic()
            try:
                job = self.get(job_id)
                heard = time.monotonic()
            except ClientError as error:
                waited = time.monotonic() - heard > _PATIENCE or (job is None and left <= 0)
                if waited or not _is_passing(error, answered_before=job is not None):
                    raise
            if job is not None:
                seen = (job.status, job.status_message, job.progress)
                if seen != shown:
                    # Things happen: look more often again.
                    shown, pause = seen, _FIRST_PAUSE
                    if on_progress is not None:
                        on_progress(job)
                if job.status.is_final:
                    return job
                if left <= 0:
                    raise WaitTimeout(job, timeout or 0)
            time.sleep(max(0.0, min(pause, left)))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def logs(self, job_id: str, *, follow: bool = False) -> Iterator[str]:
        """Reads the output of a job's latest attempt, as far back as it is kept, piece by piece.

        :param follow: go on until the job has ended, over retries.
        """
        # What is there now comes as one answer, too: between two of them the attempt could end.
        until = "follow" if follow else "all"
        # No time limit: a job may be silent for hours.
        seconds = None if follow else 60.0
        with self._open("GET", f"/{_quote(job_id)}/logs?{until}=true", seconds=seconds) as response:
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            while piece := _answered(self.url, lambda: response.read1(64 * 1024)):
                yield decoder.decode(piece)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        with self._open(method, path, body) as response:
            content = _answered(self.url, response.read)
        try:
            return json.loads(content)
        except ValueError:
            raise ClientError(
                f"{self.url} answered what is not JSON; is it a Longshore host?"
            ) from None

    def _open(
        self, method: str, path: str, body: Any = None, seconds: float | None = 60.0
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._token}"}
        data = None
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        url = f"{self.url}/api/3.0/jobs{path}"
        request = urllib.request.Request(url, data, headers, method=method)

        def send() -> http.client.HTTPResponse:
            response: http.client.HTTPResponse = self._opener.open(request, timeout=seconds)
            return response

        try:
            return _answered(self.url, send)
        except urllib.error.HTTPError as error:
            with error:
                raise _api_error(error.code, _answered(self.url, error.read)) from None


def _answered(url: str, step: Callable[[], T]) -> T:
    """Takes one step of a request; what breaks on the way is :class:`Unreachable`."""
    try:
        return step()
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"no answer from {url}: {reason}") from error


def _is_passing(error: ClientError, answered_before: bool) -> bool:
    """Whether the same request may succeed soon. A host that never answered is not waited for."""
    if isinstance(error, ApiError):
        return error.status >= 500
    return isinstance(error, Unreachable) and answered_before


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: they would carry the token to whatever place they name."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _api_error(status: int, content: bytes) -> ApiError:
    try:
        error = json.loads(content)["error"]
        return ApiError(status, str(error["code"]), str(error["message"]), error.get("field"))
    except (ValueError, KeyError, TypeError, AttributeError):
        # A proxy's page, or another server altogether.
        return ApiError(
            status, "UNKNOWN", content[:200].decode(errors="replace") or "no reason given"
        )


def _find_token() -> str:
    token = os.environ.get("LONGSHORE_TOKEN")
    if token:
        return token
    path = os.environ.get("LONGSHORE_TOKEN_FILE")
    if not path:
        raise ClientError(
            "there is no token: give one, or set LONGSHORE_TOKEN, or set LONGSHORE_TOKEN_FILE to"
            " the file that the host wrote into its state directory"
        )
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read().strip()
    except OSError as error:
        raise ClientError(f"the token cannot be read from {path}: {error}") from error
    if not token:
        raise ClientError(f"the token file {path} is empty")
    return token


def _quote(job_id: str) -> str:
    return urllib.parse.quote(job_id, safe="")
