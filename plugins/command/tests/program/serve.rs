//! One process for all calls.

use longshore_plugin_api::{ErrorKind, wire::Verb};
use serde_json::json;

use crate::stage::{Stage, is_alive, until};

/// Reads calls; `$id` and `$verb` are the last one's. Notes each process that began.
const BEGIN: &str = r#"
echo $$ >>"$HERE/began"
next() {
    IFS= read -r line || exit 0
    printf '%s\n' "$line" >>"$HERE/heard"
    id=${line#*:}; id=${id%%[,\}]*}
    verb=${line#*\"verb\":\"}; verb=${verb%%\"*}
}
ok() { printf '{"id":%s,"ok":%s}\n' "$id" "$1"; }
"#;

fn stage(script: &str) -> Stage {
    Stage::new("serve", &format!("{BEGIN}{script}"))
}

#[test]
fn answers_come_in_any_order_with_progress_and_log_lines_between() {
    let stage = stage(
        r#"next; first=$id
        echo '{"tell":"progress","payload":{"attempt_tag":"a","progress":{"message":"half"}}}'
        echo '{"log":"warn","message":"a warning"}'
        next; ok '"gone"'; id=$first; ok '{"ending":{"succeeded":{"result":1}}}'; next"#,
    );
    let waiting = stage.begin(Verb::Wait);
    until("it is asked", || stage.file("heard"));
    assert_eq!(stage.call(Verb::Cancel).unwrap(), "gone");
    let ended = waiting.recv().unwrap().unwrap();
    assert_eq!(ended["ending"]["succeeded"]["result"], 1);
    let notes = stage.notes();
    assert!(notes.iter().any(|note| note.contains("progress") && note.contains("half")));
    assert!(notes.iter().any(|note| note == "a warning"), "{notes:?}");
}

#[test]
fn a_death_fails_what_is_in_flight_keeps_new_calls_away_and_is_mended() {
    let stage = stage(
        r#"next; [ $(wc -l <"$HERE/began") -gt 1 ] || { echo "out of memory" >&2; exit 9; }
        ok '"gone"'; next"#,
    );
    let error = stage.refusal(Verb::Cancel);
    assert_eq!(error.kind, ErrorKind::Internal);
    let shown = "exit status: 9; its last words: out of memory; `cancel` was not answered";
    assert!(error.message.contains(shown), "{error}");
    let error = stage.refusal(Verb::Submit);
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("exit status: 9"), "{error}");
    assert!(error.message.contains("started again in"), "{error}");
    until("it is started again", || stage.call(Verb::Cancel).ok());
    assert_eq!(stage.file("began").unwrap().lines().count(), 2);
}

#[test]
fn a_process_after_the_first_is_told_to_start_before_anything_else() {
    let stage = stage(
        r#"while next; do case $verb in start) ok null ;; cancel) ok '"gone"' ;; locality) ok null ;;
        *) exit 1 ;; esac; done"#,
    );
    stage.call(Verb::Start).unwrap();
    assert_eq!(stage.refusal(Verb::Health).kind, ErrorKind::Internal);
    until("it is started again", || stage.call(Verb::Cancel).ok());
    let heard = stage.file("heard").unwrap();
    let verbs: Vec<_> = heard.lines().filter_map(|line| line.split('"').nth(5)).collect();
    assert_eq!(verbs, ["start", "locality", "health", "start", "cancel"]);
}

#[test]
fn nonsense_ends_the_process_and_is_shown() {
    for (script, shown) in [
        ("next; echo 'DEBUG: here'; next", r#""DEBUG: here""#),
        ("next; head -c 40000000 /dev/zero; next", "a line of more than 32 MiB"),
        ("next; exec >&-; sleep 600", "ended with"),
    ] {
        let stage = stage(script);
        let error = stage.refusal(Verb::Cancel);
        assert_eq!(error.kind, ErrorKind::Internal, "{script}: {error}");
        assert!(error.message.contains(shown), "{script}: {error}");
        let pid = stage.file("began").unwrap();
        until("the process is gone", || (!is_alive(&pid)).then_some(()));
    }
}

#[test]
fn a_program_that_hangs_is_killed_with_its_group() {
    let script = format!("{BEGIN}next; sleep 600 & echo $! >\"$HERE/child\"; wait");
    let stage = Stage::with("serve", &script, &json!({ "recover": 0.5 }));
    let waiting = stage.begin(Verb::Wait);
    let child = until("it hangs", || stage.file("child"));
    let error = stage.refusal(Verb::Recover);
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.message.contains("nor anything else, and was killed"), "{error}");
    assert_eq!(waiting.recv().unwrap().unwrap_err().kind, ErrorKind::Internal);
    until("the child is dead", || (!is_alive(&child)).then_some(()));
}

#[test]
fn a_program_that_is_slow_with_one_call_only_is_not_killed() {
    let script = format!(
        "{BEGIN}next; while sleep 0.05; do echo '{{\"log\":\"info\",\"message\":\"alive\"}}'; done & next; next; kill $!"
    );
    let stage = Stage::with("serve", &script, &json!({ "recover": 0.5 }));
    let error = stage.refusal(Verb::Recover);
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(!error.message.contains("killed"), "{error}");
    // And it is told that nobody waits any more.
    until("the call is dropped", || {
        stage.file("heard").filter(|heard| heard.ends_with("{\"drop\":0}"))
    });
    assert!(is_alive(&stage.file("began").unwrap()));
}

#[test]
fn a_stopped_program_sees_the_end_of_its_input() {
    let stage = stage(r#"trap 'echo bye >"$HERE/bye"' EXIT; next; ok null; next"#);
    stage.call(Verb::Stop).unwrap();
    until("it ended by itself", || stage.file("bye"));
    assert_eq!(stage.refusal(Verb::Submit).kind, ErrorKind::Unavailable);
}

#[test]
fn a_dropped_executor_leaves_no_process() {
    let stage = stage("next; ok '\"gone\"'; trap '' TERM; sleep 600");
    assert_eq!(stage.call(Verb::Cancel).unwrap(), "gone");
    let pid = stage.file("began").unwrap();
    drop(stage);
    until("the process is gone", || (!is_alive(&pid)).then_some(()));
}
