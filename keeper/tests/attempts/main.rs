//! Promises about attempts, kept by real nurseries, keepers and jobs.

#[cfg(test)]
mod stage;

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use longshore_keeper::{
    SEGMENT_BYTES,
    control::Reason,
    record::{Cause, Status},
};
use rustix::process::Signal;
use stage::{Stage, all_processes, boot_clock, kill, parent, pid, status, until};

const NO_GRACE: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(60);

#[test]
fn an_exit_code_is_recorded() {
    let stage = Stage::new();
    let record = stage.shell("echo out; echo err >&2; exit 7").ended();
    assert_eq!((record.cause, record.status), (Cause::Ended, Status::Code(7)));
    assert_eq!((record.output, record.lost), (8, 0));
    assert!(record.started > 0 && record.started <= record.ended);
}

#[test]
fn a_signal_is_recorded() {
    let stage = Stage::new();
    let record = stage.shell("kill -SEGV $$").ended();
    assert_eq!((record.cause, record.status), (Cause::Ended, Status::Signal(11)));
}

#[test]
fn output_and_error_are_kept_in_order() {
    let stage = Stage::new();
    let attempt = stage.shell("echo one; echo two >&2; echo three");
    attempt.ended();
    assert_eq!(attempt.output(), "one\ntwo\nthree\n");
}

#[test]
fn a_job_without_output_leaves_no_output_file() {
    let stage = Stage::new();
    let attempt = stage.attempt().run(&["/bin/true"]);
    attempt.ended();
    let left: BTreeSet<_> =
        fs::read_dir(&attempt.directory).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, ["exit", "work"].map(Into::into).into());
}

#[test]
fn a_program_that_cannot_be_executed_is_named_by_its_errno() {
    let stage = Stage::new();
    for (program, errno) in [("/no/such/program", 2), ("/etc/passwd", 13)] {
        let record = stage.attempt().run(&[program]).ended();
        assert_eq!((record.cause, record.status), (Cause::ExecFailed, Status::Errno(errno)));
        assert_eq!(record.started, 0);
    }
}

#[test]
fn a_job_gets_exactly_what_its_order_says() {
    let stage = Stage::new();
    let attempt = stage.attempt().run(&["/usr/bin/env"]);
    attempt.ended();
    let names: Vec<_> = attempt
        .read("output.0")
        .unwrap()
        .lines()
        .map(|l| l.split('=').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["PATH", "TAG", "DIR"]);
}

#[test]
fn a_job_inherits_nothing_of_its_caller() {
    // Ignored signals survive `exec`, and so do descriptors without close-on-exec and limits.
    let mut careless = Command::new("/bin/sh");
    careless
        .args(["-c", "trap '' TERM INT HUP PIPE; ulimit -Sn 4000; exec 8</dev/null; exec \"$0\""]);
    careless.arg(env!("CARGO_BIN_EXE_longshore-keeper"));
    let stage = Stage::under(careless);
    let attempt = stage.shell(
        // Without a pipeline: its ends would be two more descriptors of the shell, for a moment.
        "grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -Sn; for fd in /proc/$$/fd/*; do readlink $fd; done",
    );
    attempt.ended();
    let output = attempt.output();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[..2], ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"]);
    assert_eq!(lines[2..4], ["1024", "/dev/null"], "{output}");
    assert!(lines.len() == 6 && lines[4..].iter().all(|fd| fd.starts_with("pipe:")), "{output}");
}

#[test]
fn a_job_leads_a_session_of_its_own() {
    let stage = Stage::new();
    let mut attempt = stage.shell("echo $$ > $DIR/pid; exec sleep 1000");
    let job = pid(&attempt.file("pid"));
    assert_eq!(rustix::process::getsid(Some(job)).unwrap(), job);
    assert_eq!(rustix::process::getpgid(Some(job)).unwrap(), job);
    let keeper = attempt.keeper(job);
    assert_eq!(rustix::process::getsid(Some(keeper)).unwrap(), keeper);
    attempt.stop(Reason::Cancel, NO_GRACE);
    attempt.ended();
}

#[test]
fn descendants_do_not_outlive_the_main_process() {
    let stage = Stage::new();
    let attempt = stage.shell(
        "setsid sleep 1000 & (trap '' TERM; sleep 1001 & wait) & env -i setsid sh -c \"sleep 1002; : $TAG\" &
         echo ready",
    );
    let record = attempt.ended();
    assert_eq!((record.cause, record.status), (Cause::Ended, Status::Code(0)));
    assert_eq!(attempt.processes(), []);
    assert_eq!(attempt.output(), "ready\n");
}

#[test]
fn a_cancel_leaves_its_grace_to_a_job_that_asks_for_it() {
    let stage = Stage::new();
    let mut attempt = stage.shell(
        "trap 'echo cleaned; exit 3' TERM; echo ready > $DIR/ready; while :; do sleep 0.01; done",
    );
    attempt.file("ready");
    attempt.stop(Reason::Cancel, LONG);
    let record = attempt.ended();
    assert_eq!((record.cause, record.status), (Cause::Canceled, Status::Code(3)));
    assert!(attempt.output().ends_with("cleaned\n"));
    assert_eq!(attempt.processes(), []);
}

#[test]
fn a_cancel_kills_what_ignores_it() {
    let stage = Stage::new();
    let mut attempt = stage.shell(
        "trap '' TERM; (setsid sh -c 'sleep 1000' &) ; echo ready > $DIR/ready; while :; do sleep 1; done",
    );
    attempt.file("ready");
    attempt.stop(Reason::Cancel, Duration::from_millis(200));
    let record = attempt.ended();
    assert_eq!((record.cause, record.status), (Cause::Canceled, Status::Signal(9)));
    assert_eq!(attempt.processes(), []);
}

#[test]
fn a_second_cancel_can_hasten_the_end() {
    let stage = Stage::new();
    let mut attempt =
        stage.shell("trap '' TERM; echo ready > $DIR/ready; while :; do sleep 1; done");
    attempt.file("ready");
    attempt.stop(Reason::Cancel, Duration::from_secs(3600));
    attempt.stop(Reason::Cancel, NO_GRACE);
    assert_eq!(attempt.ended().cause, Cause::Canceled);
}

#[test]
fn a_stopped_job_hears_that_it_is_canceled() {
    let stage = Stage::new();
    let mut attempt =
        stage.shell("trap 'exit 4' TERM; echo $$ > $DIR/pid; while :; do sleep 0.01; done");
    let job = pid(&attempt.file("pid"));
    kill(job, Signal::STOP);
    attempt.stop(Reason::Cancel, LONG);
    assert_eq!(attempt.ended().status, Status::Code(4));
}

#[test]
fn the_deadline_asks_first_and_kills_after_the_grace() {
    let stage = Stage::new();
    let short = || stage.attempt().time(Duration::from_millis(300));
    let obedient = short().run(&["/bin/sleep", "1000"]).ended();
    assert_eq!((obedient.cause, obedient.status), (Cause::Timeout, Status::Signal(15)));
    let deaf = short().grace(Duration::from_millis(200)).run(&[
        "/bin/sh",
        "-c",
        "trap '' TERM; while :; do sleep 1; done",
    ]);
    let before = boot_clock();
    let record = deaf.ended();
    assert_eq!((record.cause, record.status), (Cause::Timeout, Status::Signal(9)));
    assert!(boot_clock() - before < Duration::from_secs(30));
    assert_eq!(deaf.processes(), []);
}

#[test]
fn a_cancel_beats_the_deadline() {
    let stage = Stage::new();
    let mut attempt = stage.attempt().time(Duration::from_millis(100)).run(&[
        "/bin/sh",
        "-c",
        "trap 'echo late > $DIR/late' TERM; while :; do sleep 0.01; done",
    ]);
    attempt.file("late");
    attempt.stop(Reason::Cancel, NO_GRACE);
    assert_eq!(attempt.ended().cause, Cause::Canceled);
}

#[test]
fn a_deadline_in_the_past_starts_nothing() {
    let stage = Stage::new();
    let attempt = stage.attempt().time(NO_GRACE).run(&["/bin/sh", "-c", "echo ran"]);
    let record = attempt.ended();
    assert_eq!((record.cause, record.status, record.started), (Cause::Timeout, Status::None, 0));
    assert_eq!(attempt.output(), "");
}

#[test]
fn a_stop_before_the_start_starts_nothing() {
    let stage = Stage::new();
    for (reason, cause) in [(Reason::Cancel, Cause::Canceled), (Reason::Stop, Cause::Stopped)] {
        let attempt =
            stage.attempt().stopped_before_it_starts(reason).run(&["/bin/sh", "-c", "echo ran"]);
        let record = attempt.ended();
        assert_eq!((record.cause, record.status, record.started), (cause, Status::None, 0));
        assert_eq!(attempt.output(), "");
    }
}

#[test]
fn a_host_that_is_gone_leaves_nothing_running() {
    let mut stage = Stage::new();
    let mut attempt = stage.shell(
        "trap '' TERM; setsid sleep 1000 & echo ready > $DIR/ready; while :; do sleep 1; done",
    );
    attempt.file("ready");
    stage.hang_up();
    attempt.lose_host();
    let record = until("the record", || attempt.evidence().record);
    assert_eq!(record.cause, Cause::HostGone);
    assert_eq!(attempt.processes(), []);
    until("the lock", || attempt.lock_is_free().then_some(()));
    assert!(stage.nursery.wait().unwrap().success());
}

#[test]
fn the_lock_is_held_while_anything_runs() {
    let stage = Stage::new();
    let mut attempt = stage.shell("echo ready > $DIR/ready; exec sleep 1000");
    attempt.file("ready");
    assert!(!attempt.lock_is_free());
    attempt.stop(Reason::Stop, NO_GRACE);
    assert_eq!(attempt.ended().cause, Cause::Stopped);
    assert!(attempt.lock_is_free());
}

#[test]
fn a_killed_keeper_is_swept_up_after() {
    let stage = Stage::new();
    let attempt = stage.shell(
        "env -i setsid sh -c \"sleep 1000; : $TAG\" & setsid sleep 1000 &
         echo $$ > $DIR/pid; sleep 1000",
    );
    let job = pid(&attempt.file("pid"));
    let neighbour =
        stage.shell("echo ready > $DIR/ready; read never < $DIR/fifo || sleep 0.2; exit 5");
    neighbour.file("ready");
    kill(attempt.keeper(job), Signal::KILL);
    let record = attempt.ended();
    assert_eq!((record.cause, record.status), (Cause::KeeperKilled, Status::None));
    assert_eq!(attempt.processes(), []);
    assert_eq!(neighbour.ended().status, Status::Code(5));
}

#[test]
fn a_killed_nursery_takes_no_attempt_with_it() {
    let mut stage = Stage::new();
    let mut attempt = stage.shell("echo ready > $DIR/ready; exec sleep 1000");
    attempt.file("ready");
    stage.kill_nursery();
    attempt.stop(Reason::Cancel, LONG);
    let record = attempt.ended();
    assert_eq!((record.cause, record.status), (Cause::Canceled, Status::Signal(15)));
    assert_eq!(attempt.processes(), []);
}

#[test]
fn a_job_dies_with_its_keeper_even_without_a_nursery() {
    let mut stage = Stage::new();
    let attempt = stage.shell("echo $$ > $DIR/pid; exec sleep 1000");
    let job = pid(&attempt.file("pid"));
    let keeper = attempt.keeper(job);
    stage.kill_nursery();
    kill(keeper, Signal::KILL);
    until("the job's end", || attempt.processes().is_empty().then_some(()));
    assert_eq!(attempt.evidence().record, None);
    until("the lock", || attempt.lock_is_free().then_some(()));
}

#[test]
fn a_grandchild_that_ignores_term_and_holds_the_pipe_hangs_nobody() {
    let stage = Stage::new();
    let attempt = stage.shell("(trap '' TERM HUP; setsid sleep 1000 &) & echo done; exit 0");
    let record = attempt.ended();
    assert_eq!((record.cause, record.status), (Cause::Ended, Status::Code(0)));
    assert_eq!(attempt.output(), "done\n");
    assert_eq!(attempt.processes(), []);
}

#[test]
fn a_stranger_that_holds_the_pipe_hangs_nobody() {
    let stage = Stage::new();
    let attempt =
        stage.shell("echo $$ > $DIR/pid; until [ -e $DIR/go ]; do sleep 0.01; done; echo end");
    let job = attempt.file("pid");
    // As an operator's `tail -f /proc/PID/fd/1` would, but able to write.
    let held = fs::File::options().write(true).open(format!("/proc/{job}/fd/1")).unwrap();
    fs::write(attempt.directory.join("go"), "").unwrap();
    assert_eq!(attempt.ended().status, Status::Code(0));
    assert_eq!(attempt.output(), "end\n");
    drop(held);
}

#[test]
fn a_hundred_megabytes_of_errors_are_drained_and_bounded() {
    let stage = Stage::new();
    let attempt = stage.shell("yes 0123456789abcde | head -c 104857600 >&2; echo the end");
    let record = attempt.ended();
    assert_eq!((record.status, record.lost), (Status::Code(0), 0));
    assert_eq!(record.output, 104_857_600 + 8);
    let last = record.output / SEGMENT_BYTES;
    let mut segments: Vec<_> = fs::read_dir(&attempt.directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("output."))
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
        .collect();
    segments.sort();
    let expected = [
        (format!("output.{}", last - 1), SEGMENT_BYTES),
        (format!("output.{last}"), record.output % SEGMENT_BYTES),
    ];
    assert_eq!(segments, expected);
    assert!(attempt.read(&expected[1].0).unwrap().ends_with("the end\n"));
}

#[test]
fn a_job_is_allowed_what_the_host_is_though_the_caller_is_not() {
    let limits = |arguments: &[&str]| {
        let mut limited = Command::new("/bin/sh");
        let lower = "ulimit -Sd 1000000; ulimit -Sc 0; ulimit -Hc 512; exec \"$0\" \"$@\"";
        limited.args(["-c", lower, env!("CARGO_BIN_EXE_longshore-keeper")]).args(arguments);
        let stage = Stage::under(limited);
        let attempt = stage.shell("ulimit -Sd; ulimit -Sc");
        attempt.ended();
        attempt.output()
    };
    assert_eq!(limits(&[]), "1000000\n0\n");
    assert_eq!(limits(&["data=2048000000", "core=unlimited"]), "2000000\n512\n");
    assert_eq!(limits(&["data=unlimited"]), "unlimited\n0\n");
}

#[test]
fn a_disk_that_takes_no_more_blocks_nobody() {
    // A limit on file sizes makes writes fail as a full disk does.
    let mut cramped = Command::new("/bin/sh");
    cramped.args(["-c", "ulimit -f 64; exec \"$0\"", env!("CARGO_BIN_EXE_longshore-keeper")]);
    let stage = Stage::under(cramped);
    let attempt = stage.shell("head -c 1000000 /dev/zero; exit 6");
    let record = attempt.ended();
    assert_eq!((record.cause, record.status), (Cause::Ended, Status::Code(6)));
    assert!(record.output > 0 && record.output <= 64 * 1024, "{record:?}");
    assert_eq!(record.output + record.lost, 1_000_000);
}

#[test]
fn orphans_are_waited_for_while_the_job_runs() {
    let stage = Stage::new();
    let attempt = stage.shell(
        "echo $$ > $DIR/pid; for i in 1 2 3 4 5; do (sh -c 'exit 0' &) ; done
         echo ready > $DIR/ready; until [ -e $DIR/go ]; do sleep 0.01; done",
    );
    attempt.file("ready");
    let keeper = attempt.keeper(pid(&attempt.file("pid")));
    until("no zombies under the keeper", || {
        let zombie = |id| {
            parent(id) == Some(keeper) && status(id, "State").is_some_and(|s| s.starts_with('Z'))
        };
        (!all_processes().any(|(id, _)| zombie(id))).then_some(())
    });
    fs::write(attempt.directory.join("go"), "").unwrap();
    assert_eq!(attempt.ended().status, Status::Code(0));
}

#[test]
fn a_storm_of_forks_is_calmed() {
    let stage = Stage::new();
    // Each process starts the next in a session of its own and ends: nobody is there for long.
    let storm = "import os, sys
for _ in range(4):
    if os.fork() == 0: break
open(os.environ['DIR'] + '/ready', 'w').write('ready\\n')
while True:
    if os.fork() == 0: os.setsid()
    else: os._exit(0)
";
    let mut attempt = stage.attempt().run(&[
        "/usr/bin/env",
        "python3",
        "-c",
        &format!(
            "import os, time
if os.fork() == 0:
    exec({storm:?})
time.sleep(1000)"
        ),
    ]);
    attempt.file("ready");
    attempt.stop(Reason::Cancel, NO_GRACE);
    assert_eq!(attempt.ended().cause, Cause::Canceled);
    assert_eq!(attempt.processes(), []);
}

#[test]
fn a_keeper_takes_one_attempt_after_the_other() {
    let stage = Stage::new();
    let job = "echo $$ > $DIR/pid; until [ -e $DIR/go ]; do sleep 0.01; done; echo $TAG; exit";
    let mut last = stage.shell("setsid sleep 1000 & echo $PPID > $DIR/keeper");
    last.ended();
    let keeper = pid(&last.file("keeper"));
    for code in 0..20 {
        let attempt = stage.attempt().after(last).run(&["/bin/sh", "-c", &format!("{job} {code}")]);
        assert_eq!(attempt.keeper(pid(&attempt.file("pid"))), keeper);
        assert!(!attempt.lock_is_free());
        fs::write(attempt.directory.join("go"), "").unwrap();
        let record = attempt.ended();
        assert_eq!((record.cause, record.status), (Cause::Ended, Status::Code(code)));
        assert_eq!(attempt.output(), format!("{}\n", attempt.tag));
        assert_eq!(record.output, attempt.output().len() as u64);
        last = attempt;
    }
}

#[test]
fn a_stop_that_comes_too_late_does_not_hit_the_next_attempt() {
    let stage = Stage::new();
    let mut first = stage.shell("exit 1");
    first.ended();
    first.stop(Reason::Cancel, NO_GRACE);
    let second = stage.attempt().after(first).run(&["/bin/sh", "-c", "sleep 0.1; exit 2"]);
    let record = second.ended();
    assert_eq!((record.cause, record.status), (Cause::Ended, Status::Code(2)));
}

#[test]
fn a_deadline_that_passed_does_not_hit_the_next_attempt() {
    let stage = Stage::new();
    let first = stage.attempt().time(Duration::from_millis(50)).run(&["/bin/sleep", "1000"]);
    assert_eq!(first.ended().cause, Cause::Timeout);
    let second = stage.attempt().after(first).run(&["/bin/sh", "-c", "sleep 0.1; exit 2"]);
    assert_eq!(second.ended().status, Status::Code(2));
}

#[test]
fn an_idle_keeper_ends_with_its_host() {
    let stage = Stage::new();
    let mut attempt = stage.shell("echo $PPID > $DIR/keeper");
    attempt.ended();
    let keeper = pid(&attempt.file("keeper"));
    attempt.lose_host();
    until("the keeper's end", || status(keeper, "State").is_none().then_some(()));
}

#[test]
fn many_attempts_share_a_nursery_and_nothing_else() {
    let stage = Stage::new();
    let attempts: Vec<_> =
        (0..200).map(|i| stage.shell(&format!("echo {i}; exit {}", i % 100))).collect();
    for (i, attempt) in (0..).zip(&attempts) {
        assert_eq!(attempt.ended().status, Status::Code(i % 100));
        assert_eq!(attempt.output(), format!("{i}\n"));
    }
    drop(attempts);
    let nursery = stage.nursery.id();
    until("no descriptor is left in the nursery", || {
        let open = fs::read_dir(format!("/proc/{nursery}/fd")).unwrap().count();
        // Standard input, output and error, the requests, the signals.
        (open == 5).then_some(())
    });
}

#[test]
fn a_packet_that_is_no_order_harms_nobody() {
    let stage = Stage::new();
    let first = stage.attempt().run(&["/bin/true"]);
    assert_eq!(first.ended().status, Status::Code(0));
    stage.send_nonsense();
    assert_eq!(stage.attempt().run(&["/bin/true"]).ended().status, Status::Code(0));
}
