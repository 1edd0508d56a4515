//! The statements: files under `store/sql`, named like the method that runs them, rendered for each
//! database when the host is compiled. The common spelling is `$1` and `now_us()`.

/// One statement in the spelling of each database.
#[derive(Debug)]
pub(super) struct Statement {
    /// Its name, in spans and errors.
    pub(super) name: &'static str,
    /// SQLite's spelling.
    pub(super) sqlite: &'static str,
}

/// SQLite's clock, in microseconds. Millisecond steps; it stands still within one statement.
const SQLITE_NOW: &str = "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)";
const NOW: &[u8] = b"now_us()";

const fn found_at(text: &[u8], at: usize) -> bool {
    if at + NOW.len() > text.len() {
        return false;
    }
    let mut i = 0;
    while i < NOW.len() {
        if text[at + i] != NOW[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// The length of `text` in SQLite's spelling.
pub(super) const fn rendered_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut len) = (0, 0);
    while at < bytes.len() {
        if found_at(bytes, at) {
            at += NOW.len();
            len += SQLITE_NOW.len();
        } else {
            at += 1;
            len += 1;
        }
    }
    len
}

/// `text` in SQLite's spelling: every `now_us()` spelt out, and `?1` for `$1`, which to SQLite is a
/// name and not a place.
pub(super) const fn rendered<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    let mut out = [0; N];
    let (mut at, mut len) = (0, 0);
    while at < bytes.len() {
        if found_at(bytes, at) {
            let clock = SQLITE_NOW.as_bytes();
            let mut i = 0;
            while i < clock.len() {
                out[len] = clock[i];
                len += 1;
                i += 1;
            }
            at += NOW.len();
        } else {
            out[len] = if bytes[at] == b'$' { b'?' } else { bytes[at] };
            at += 1;
            len += 1;
        }
    }
    out
}

macro_rules! statements {
    ($($name:ident)*) => {
        $(
            #[expect(non_upper_case_globals, reason = "one name in four places: file, method, span, metric")]
            pub(super) static $name: Statement = Statement {
                name: stringify!($name),
                sqlite: {
                    const TEXT: &str = include_str!(concat!("sql/", stringify!($name), ".sql"));
                    const BYTES: [u8; rendered_len(TEXT)] = rendered(TEXT);
                    match std::str::from_utf8(&BYTES) {
                        Ok(text) => text,
                        Err(_) => panic!("a statement is UTF-8"),
                    }
                },
            };
        )*
        /// Every statement there is.
        #[cfg(test)]
        pub(super) static ALL: &[&Statement] = &[$(&$name),*];
    };
}

statements! {
    clock_read
    job_alive_attempts job_alive_count job_ask_again job_begin job_by_idempotency_key job_cancel job_claim job_counts job_due job_due_solo job_get
    job_give_up job_handle job_log_get job_log_put job_mark job_mark_expired job_mark_own job_next_due job_orphan
    job_progress job_reattach job_reattached job_release job_renew job_requeue job_retry job_routes job_settle job_solo_waiting
    job_submit job_submit_params job_unanswered job_unresolved job_work_gone
    lock_acquire lock_holder lock_release
    replica_announce replica_beat replica_list
    schema_version
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lifecycle::{Event, State, transition};

    /// How the index `job_alive` is spelt: a place to look, not a guard.
    const ALIVE: &str = "(state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe')";

    /// The states that a statement requires a row to be in.
    fn guard(sql: &str) -> BTreeSet<State> {
        let sql = sql.replace(ALIVE, "");
        let guard = &sql[sql.find("WHERE").unwrap_or(0)..];
        let lists = guard.split("state IN (").skip(1).filter_map(|rest| rest.split(')').next());
        let words = guard.split("state = '").skip(1).filter_map(|rest| rest.split('\'').next());
        lists.flat_map(|list| list.split('\'')).chain(words).filter_map(State::from_word).collect()
    }

    #[test]
    fn the_guards_in_sql_are_the_sources_in_the_table() {
        for event in Event::ALL {
            let statements: Vec<_> = ALL
                .iter()
                .filter(|s| s.sqlite.contains(&format!("-- event: {}\n", event.as_str())))
                .collect();
            assert!(!statements.is_empty(), "no statement for {event:?}");
            for statement in statements {
                assert!(
                    statement.name.starts_with(&format!("job_{}", event.as_str())),
                    "{} is named unlike its event {event:?}",
                    statement.name
                );
                if event == Event::Submit {
                    continue;
                }
                let expected: BTreeSet<State> = transition(event).from.iter().copied().collect();
                assert_eq!(guard(statement.sqlite), expected, "guard of {}", statement.name);
            }
        }
    }

    #[test]
    fn a_statement_that_sets_a_state_names_its_event_and_sets_what_the_table_says() {
        for statement in ALL {
            let sql = statement.sqlite;
            let Some(set) = sql.find("SET ") else { continue };
            let set = &sql[set..sql[set..].find("WHERE").map_or(sql.len(), |at| set + at)];
            let Some(at) = set.find("state = ") else { continue };
            let event = sql
                .lines()
                .find_map(|line| line.strip_prefix("-- event: "))
                .unwrap_or_else(|| panic!("{} moves a job and names no event", statement.name));
            let event = Event::ALL.into_iter().find(|e| e.as_str() == event).expect("an event");
            let value = set[at + 8..].split(',').next().unwrap_or_default();
            if let Some(state) = value.split('\'').nth(1).and_then(State::from_word) {
                assert_eq!(transition(event).to, [state], "{}", statement.name);
            } else {
                assert_eq!(event, Event::Settle, "only settle has more than one target");
            }
        }
    }

    #[test]
    fn every_way_out_clears_what_belongs_to_the_attempt() {
        let shown = [
            "status_message",
            "progress",
            "progress_updated_at",
            "token_hash",
            "scoped_permissions",
        ];
        let attempt = [
            "claim_token",
            "attempt_tag",
            "owner",
            "lease_expires_at",
            "handle",
            "report",
            "locality",
        ];
        for statement in ALL {
            let sql = statement.sqlite;
            let to_pending = sql.contains("SET state = 'PENDING'");
            let to_end = ["job_settle", "job_cancel", "job_give_up"].contains(&statement.name);
            let cleared = |column: &str| {
                assert!(
                    sql.contains(&format!("{column} = NULL")),
                    "{} keeps {column}",
                    statement.name
                );
            };
            if to_pending || to_end {
                shown.into_iter().for_each(cleared);
            }
            if to_pending {
                attempt.into_iter().for_each(cleared);
                assert!(sql.contains("crashes = 0"), "{} keeps its crashes", statement.name);
            }
        }
    }

    #[test]
    fn the_states_in_the_schema_are_the_states_in_the_table() {
        let schema = include_str!("../../../migrations/sqlite/0001_jobs.sql");
        let any = State::ALL.map(|state| format!("state = '{state}'")).join(" OR ");
        assert!(schema.contains(&format!("CHECK ({any})")));
    }
}
