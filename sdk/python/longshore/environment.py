"""Python environments: built once for each set of requirements, kept, and shared by all jobs.

``<environments_dir>/<key>/`` is a virtual environment; its key is a digest of what it is made from.
``complete`` in it is written last: a directory without it was left by a builder that died, and is
built anew. ``<key>.lock`` is held with ``flock`` while somebody builds.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Callable

from longshore.files import write_atomically
from longshore.requirements import check_requirement

MARKER = "complete"
_TAIL_LINES = 12

# What pip says when a server could not be reached or broke off, as opposed to having answered
# "no such thing".
_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|Read timed out|ProtocolError"
    r"|ConnectionResetError|Connection refused|Connection aborted|connection broken"
    r"|RemoteDisconnected|IncompleteRead|ProxyError|Temporary failure in name resolution"
    r"|Name or service not known|Network is unreachable|No route to host|error responses"
    r"|50[0234] Server Error|SSLEOFError|UNEXPECTED_EOF",
    re.IGNORECASE,
)
# What it says when the index did answer. Early connection trouble that a retry overcame is then
# not the reason.
_ANSWERED = re.compile(
    r"from versions: (?!none)|ResolutionImpossible|conflicting dependencies|Invalid requirement"
    r"|requires a different Python|Requires-Python|metadata-generation-failed"
    r"|subprocess-exited-with-error|Failed building wheel"
)
_LACK = re.compile(r"No space left on device|Disk quota exceeded|Cannot allocate memory")


class EnvironmentFailed(Exception):
    """An environment could not be built."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


class Environment:
    """One virtual environment: where it is, and how it comes to be."""

    def __init__(self, directory: str, requirements: Sequence[str], index_url: str | None):
        """Looks at nothing and makes nothing.

        :param directory: where environments are kept.
        :param requirements: pip requirement specifiers; order and repetition do not matter.
        :param index_url: the package index; pip's own default if ``None``.
        """
        self.requirements = sorted({requirement.strip() for requirement in requirements})
        self.index_url = index_url
        self.key = _digest(self.requirements, index_url)
        self.path = os.path.join(os.path.abspath(directory), self.key)
        self.python = os.path.join(self.path, "bin", "python")
        self._lock_path = f"{self.path}.lock"
        self._pip_log = os.path.join(self.path, "pip.log")

    @property
    def is_complete(self) -> bool:
        """Whether it has been built to the end."""
        return os.path.exists(os.path.join(self.path, MARKER))

    def ensure(self, tell: Callable[[str], None]) -> None:
        """Builds the environment unless it is there; waits if somebody else is building it.

        :param tell: told what goes on, for people.
        :raises EnvironmentFailed: it cannot be built.
        """
        # Without the lock: nobody changes a complete environment.
        if self.is_complete:
            return
        for requirement in self.requirements:
            mistake = check_requirement(requirement)
            if mistake is not None:
                raise EnvironmentFailed(f"python.requirements: {mistake}", transient=False)
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            with self._locked(tell) as lock:
                # Somebody may have finished it while this process waited.
                if not self.is_complete:
                    self._build(lock, tell)
        except OSError as error:
            raise EnvironmentFailed(
                f"the Python environment in {self.path} cannot be built: {error}", transient=True
            ) from error

    @contextlib.contextmanager
    def _locked(self, tell: Callable[[str], None]) -> Iterator[int]:
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell(f"waiting for another job that installs {self._names()}")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            # Closing is what releases; the file stays, because removing a lock file lets two
            # processes hold "the" lock on two files.
            os.close(descriptor)

    def _build(self, lock: int, tell: Callable[[str], None]) -> None:
        tell(f"installing {self._names()}")
        if os.path.lexists(self.path):
            shutil.rmtree(self.path)
        try:
            self._run([sys.executable, "-m", "venv", self.path], lock, self._venv_failure)
            pip = [self.python, "-m", "pip", "install", "--no-input", "--progress-bar=off"]
            pip += ["--disable-pip-version-check", f"--log={self._pip_log}", *self.requirements]
            self._run(pip, lock, self._pip_failure)
        except EnvironmentFailed:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        # The marker is believed for ever, also after a power failure: what it vouches for goes to
        # the disk before it does.
        os.sync()
        made_of = {"requirements": self.requirements, "python": _interpreter()}
        write_atomically(
            os.path.join(self.path, MARKER), json.dumps(made_of).encode() + b"\n", durable=True
        )

    def _run(
        self, command: list[str], lock: int, failure: Callable[[list[str], int], EnvironmentFailed]
    ) -> None:
        environment = dict(os.environ)
        # What the job imports must not decide how its environment is built, and pip must install
        # what it finds there already.
        environment.pop("PYTHONPATH", None)
        if self.index_url is not None:
            # By environment: arguments can be read by every user of the machine, and the URL may
            # hold a password.
            environment["PIP_INDEX_URL"] = self.index_url
        tail: collections.deque[str] = collections.deque(maxlen=100)
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            # pip takes a bare name for a file of the current directory if there is one.
            cwd=os.path.dirname(self.path),
            # The child keeps the lock too: if this process is killed alone, nobody builds here
            # before pip has ended.
            pass_fds=[lock],
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                sys.stderr.write(line)
                tail.append(line.rstrip())
            sys.stderr.flush()
        if process.returncode != 0:
            raise failure(list(tail), process.returncode)

    def _venv_failure(self, tail: list[str], status: int) -> EnvironmentFailed:
        hint = ""
        if any("ensurepip" in line for line in tail):
            hint = "; on Debian and Ubuntu install the package python3-venv"
        return EnvironmentFailed(
            f"{_interpreter()} cannot make a virtual environment"
            f" (exit status {status}){hint}:\n{_last(tail)}",
            transient=_is_lack(tail, status),
        )

    def _pip_failure(self, tail: list[str], status: int) -> EnvironmentFailed:
        printed = "\n".join(tail)
        # Why a server gave no answer stands only in the log, if pip was told to try just once.
        evidence = printed + _lines_with("Could not fetch", self._pip_log)
        unreachable = bool(_NETWORK.search(evidence)) and not _ANSWERED.search(printed)
        if unreachable:
            reason = "the package index could not be reached"
        elif _is_lack(tail, status):
            reason = "the machine could not install the requirements"
        else:
            reason = "the requirements cannot be installed"
        return EnvironmentFailed(
            f"{reason}: {self._names()} for {_interpreter()}"
            f" (pip's exit status {status}):\n{_last(tail)}",
            transient=unreachable or _is_lack(tail, status),
        )

    def _names(self) -> str:
        return _without_passwords(", ".join(self.requirements))


def inside(environment: Environment) -> bool:
    """Whether this process runs in that environment already."""
    return os.path.realpath(sys.prefix) == os.path.realpath(environment.path)


def _digest(requirements: Sequence[str], index_url: str | None) -> str:
    # The interpreter by what it is and where it is: an environment links to it, and another
    # version of it in the same place cannot use what was installed for the old one.
    parts = {
        "requirements": list(requirements),
        "index_url": index_url,
        "version": platform.python_version(),
        "tag": sys.implementation.cache_tag,
        "path": _base_executable(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _base_executable() -> str:
    # Inside a virtual environment this is the interpreter that it was made from.
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _interpreter() -> str:
    return f"{platform.python_implementation()} {platform.python_version()} ({_base_executable()})"


def _last(lines: list[str]) -> str:
    """The lines of pip's output that say what went wrong."""
    # Each new try of a lost connection says the same; where it looked is the operator's to know.
    told = [line for line in lines if not line.startswith(("[notice]", "Looking in "))]
    tries = [line for line in told if line.startswith("WARNING: Retrying")]
    told = [line for line in told if line and line not in tries[:-1]]
    return _without_passwords("\n".join(f"  {line}" for line in told[-_TAIL_LINES:]))


def _without_passwords(text: str) -> str:
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1****@", text)


def _lines_with(text: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "".join(line for line in file if text in line)
    except OSError:
        return ""


def _is_lack(lines: list[str], status: int) -> bool:
    # A negative status is a signal: the kernel's memory killer, most likely.
    return status < 0 or any(_LACK.search(line) for line in lines)
