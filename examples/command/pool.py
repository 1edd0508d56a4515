#!/usr/bin/env python3
"""An executor for Longshore's `command` plugin, mode `serve`: jobs as processes of this machine.

Each attempt has a directory below LONGSHORE_STATE_DIR and a process group of its own. Whatever runs for
it holds `lock` (the descriptor is inherited), so a free lock is the proof that nothing does, also after
a restart of this program, which its jobs do not notice. Standard library only; Python 3.9 or newer.
"""
import contextlib, fcntl, json, os, select, shutil, signal, subprocess, time
from pathlib import Path

STATE = Path(os.environ["LONGSHORE_STATE_DIR"]) / "attempts"
# Notes the group, runs the job and notes its end, whether anybody is left to see it or not.
RUN = 'echo $$ >group; "$@"; echo $? >exit.new; mv exit.new exit'
later = {}  # id of a call -> the function that has its answer, or None while there is none

class Refused(Exception):
    """An error: its kind and its message."""

def read(file):
    return file.read_text(errors="replace") if file.exists() else ""

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
    with contextlib.suppress(ValueError, ProcessLookupError):  # never begun, or just gone
        os.killpg(int(read(home / "group")), how)

def submit(job):
    home = STATE / job["attempt_tag"]
    if "command" not in job["run"]:
        raise Refused("invalid_job", "pool.py runs commands, no functions")
    STATE.mkdir(parents=True, exist_ok=True)
    try:
        home.mkdir(mode=0o700)
    except FileExistsError:
        raise Refused("already_exists", f"attempt {home.name} was submitted before") from None
    (home / "params.json").write_text(json.dumps(job["params"]))
    names = {"JOB_ID": job["job_id"], "ATTEMPT": str(job["attempt"]), "ATTEMPT_TAG": home.name,
             "PARAMS": str(home / "params.json"), "RESULT": str(home / "result.json")}
    variables = {**os.environ, **{"LONGSHORE_" + name: value for name, value in names.items()}}
    with open(home / "lock", "w") as lock, open(home / "output", "w") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Its own session: it must outlive this program, and die as one.
        child = subprocess.Popen(["sh", "-c", RUN, "sh", *job["run"]["command"]], env=variables,
                                 cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 start_new_session=True, pass_fds=[lock.fileno()])
    while not read(home / "group").endswith("\n") and child.poll() is None:
        time.sleep(0.001)  # what cannot be killed has not been started

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
    else:
        how = "canceled" if (home / "canceled").exists() else "interrupted"
        ending = {how: {"message": "it was killed, or the machine was restarted"}}
    return {"ending": ending, "log_tail": read(home / "output")[-16384:]}

def cancel(home, grace):
    until = time.monotonic() + grace
    if runs(home):
        (home / "canceled").touch()
        kill(home, signal.SIGTERM)

    def gone():
        if not runs(home):
            return "gone"
        if time.monotonic() > until:
            kill(home, signal.SIGKILL)
        return "maybe" if time.monotonic() > until + 5 else None
    return gone

def find(home):
    """`here` is also what has ended: `wait` can still tell how."""
    begins = runs(home)  # first: once the lock is free nothing can note its group any more
    if read(home / "group").endswith("\n"):
        return {"found": "here"}
    return {"found": "unknown", "message": "it is just beginning"} if begins else {"found": "gone"}

VERBS = {
    "facts": lambda _: {"isolation": "process", "reattach": True},
    "submit": submit,
    "wait": lambda attempt: lambda: wait(STATE / attempt["attempt_tag"]),
    "cancel": lambda asked: cancel(STATE / asked["attempt"]["attempt_tag"], asked["grace"]),
    "recover": lambda attempts: [{"attempt_tag": tag, "found": find(STATE / tag)}
                                 for tag in (attempt["attempt_tag"] for attempt in attempts)],
    "forget": lambda attempt: shutil.rmtree(STATE / attempt["attempt_tag"], ignore_errors=True),
}

def settle(number, call):
    """Answers a call, now or as soon as there is an answer."""
    try:
        value = call()
        if callable(value) or (value is None and number in later):
            later[number] = value or call
            return
        said = {"ok": value}
    except Exception as why:
        kind, message = why.args if isinstance(why, Refused) else ("internal", repr(why))
        said = {"error": {"kind": kind, "message": message}}
    print(json.dumps({"id": number, **said}), flush=True)
    later.pop(number, None)

def unknown(_):
    raise Refused("unsupported", "pool.py knows no such verb")

rest = b""
while True:
    if select.select([0], [], [], 0.05 if later else None)[0]:
        *lines, rest = (rest + (got := os.read(0, 1 << 20))).split(b"\n")
        if not got:
            break  # the host went away; the jobs stay
        for line in map(json.loads, lines):
            later.pop(line.get("drop"), None)
            if "verb" in line:
                settle(line["id"], lambda call=line: VERBS.get(call["verb"], unknown)(call["payload"]))
    for number, call in list(later.items()):
        settle(number, call)
