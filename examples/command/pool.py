#!/usr/bin/env python3
"""An executor for Longshore's `command` plugin, mode `serve`: jobs as processes of this machine.

Each attempt has a directory in LONGSHORE_STATE_DIR and a process group of its own. Whatever runs for it holds
`lock` (the descriptor is inherited), so a free lock is the proof that nothing does, also after a
restart of this program, which its jobs do not notice. No dependencies; Python 3.9 or newer.
"""
import fcntl, json, os, select, shutil, signal, subprocess, sys, time
from pathlib import Path

STATE = Path(os.environ["LONGSHORE_STATE_DIR"]) / "attempts"
# Runs the job and writes down how it ended, whether anybody is left to see it or not.
RUN = 'exit="$1"; shift; "$@"; echo $? >"$exit.new"; mv "$exit.new" "$exit"'
later = {}  # id of a call -> the function that has its answer, or None while there is none


class Refused(Exception):
    """An error: its kind and its message."""


def say(**line):
    print(json.dumps(line), flush=True)


def runs(home):
    """Whether anything of the attempt is alive."""
    try:
        with open(home / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def kill(home, how):
    try:
        os.killpg(int((home / "group").read_text()), how)
    except (FileNotFoundError, ProcessLookupError):
        pass  # never begun, or just gone


def submit(job):
    if "command" not in job["run"]:
        raise Refused("invalid_job", "pool.py runs commands, no functions")
    home = STATE / job["attempt_tag"]
    home.mkdir(parents=True, mode=0o700)
    (home / "params.json").write_text(json.dumps(job["params"]))
    names = {"JOB_ID": job["job_id"], "ATTEMPT": str(job["attempt"]), "ATTEMPT_TAG": home.name,
             "PARAMS": str(home / "params.json"), "RESULT": str(home / "result.json")}
    variables = {**os.environ, **{"LONGSHORE_" + name: value for name, value in names.items()}}
    with open(home / "lock", "w") as lock, open(home / "output", "w") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Its own session: it must outlive this program, and die as one.
        child = subprocess.Popen(["sh", "-c", RUN, "sh", str(home / "exit"), *job["run"]["command"]],
                                 env=variables, cwd=home, stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=output, start_new_session=True, pass_fds=[lock.fileno()])
    (home / "group").write_text(str(child.pid))


def read(file):
    return file.read_text(errors="replace") if file.exists() else ""


def wait(home):
    if not home.exists():
        raise Refused("not_found", f"there is no attempt {home.name} here")
    if runs(home):
        return None
    code = read(home / "exit").strip()
    if code == "0":
        ending = {"succeeded": {"result": json.loads(read(home / "result.json") or "null")}}
    elif code:
        message = f"the command ended with exit code {code}"
        ending = {"failed": {"message": message, "transient": code == "75"}}
    elif (home / "canceled").exists():
        ending = {"canceled": {"message": "canceled"}}
    else:
        ending = {"interrupted": {"message": "it was killed, or the machine was restarted"}}
    return {"ending": ending, "log_tail": read(home / "output")[-16384:]}


def cancel(home, until):
    if not runs(home):
        return "gone"
    if time.monotonic() > until:
        kill(home, signal.SIGKILL)
    return "maybe" if time.monotonic() > until + 5 else None


def begin_cancel(home, grace):
    if runs(home):
        (home / "canceled").touch()
        kill(home, signal.SIGTERM)
    until = time.monotonic() + grace
    return lambda: cancel(home, until)


def find(home):
    """`here` is also what has ended: `wait` can still tell how."""
    if (home / "group").exists():
        return {"found": "here"}
    return {"found": "unknown", "message": "its group was not noted"} if runs(home) else {"found": "gone"}


def recover(attempts):
    tags = [attempt["attempt_tag"] for attempt in attempts]
    return [{"attempt_tag": tag, "found": find(STATE / tag)} for tag in tags]


VERBS = {
    "facts": lambda _: {"isolation": "process", "reattach": True},
    "submit": submit,
    "wait": lambda attempt: lambda: wait(STATE / attempt["attempt_tag"]),
    "cancel": lambda asked: begin_cancel(STATE / asked["attempt"]["attempt_tag"], asked["grace"]),
    "recover": recover,
    "forget": lambda attempt: shutil.rmtree(STATE / attempt["attempt_tag"], ignore_errors=True),
}


def settle(number, call):
    """Answers a call, now or as soon as there is an answer."""
    try:
        value = call()
        if callable(value) or (value is None and number in later):
            later[number] = value or call
            return
        say(id=number, ok=value)
    except Refused as why:
        say(id=number, error={"kind": why.args[0], "message": why.args[1]})
    except Exception as why:
        say(id=number, error={"kind": "internal", "message": repr(why)})
    later.pop(number, None)


def hear(id=None, verb=None, payload=None, drop=None):
    if verb in VERBS:
        settle(id, lambda: VERBS[verb](payload))
    elif verb:
        say(id=id, error={"kind": "unsupported", "message": f"pool.py knows no verb {verb}"})
    later.pop(drop, None)


rest = b""
while True:
    if select.select([0], [], [], 0.05 if later else None)[0]:
        got = os.read(0, 1 << 20)
        if not got:
            break  # the host went away; the jobs stay
        *lines, rest = (rest + got).split(b"\n")
        for line in lines:
            hear(**json.loads(line))
    for number, call in list(later.items()):
        settle(number, call)
