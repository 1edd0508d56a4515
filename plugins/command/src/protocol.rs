//! What a program may say: answers, errors by name, progress, log lines.

use std::time::Duration;

use longshore_plugin_api::{
    Error, ErrorKind, Progress, Seconds,
    wire::{self, Verb},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

/// The longest answer, in bytes: a result of 16 MiB, and what JSON may add to it.
pub(crate) const LONGEST: usize = 32 << 20;

/// How much of nonsense is shown, in bytes.
const SHOWN: usize = 200;

/// An answer that is no error.
#[derive(Debug)]
pub(crate) enum Reply {
    /// What was asked for.
    Done(Box<RawValue>),
    /// Nothing yet: ask again after that time.
    Again(Duration),
}

/// One line of a program that serves.
#[derive(Debug)]
pub(crate) enum Said {
    /// The answer to the call of that id.
    Answer(u64, Result<Reply, Error>),
    /// How far an attempt has got.
    Progress(wire::Progress),
    /// For the host's log.
    Log(tracing::Level, String),
}

/// Everything that can stand in an answer or a line.
#[derive(Deserialize)]
struct Message {
    id: Option<u64>,
    // `null` is an answer, so absence must differ from it.
    #[serde(default, deserialize_with = "present")]
    ok: Option<Box<RawValue>>,
    error: Option<Wrong>,
    again_in: Option<Seconds>,
    tell: Option<String>,
    #[serde(default)]
    payload: Option<wire::Progress<Progress>>,
    log: Option<String>,
    message: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Wrong {
    kind: String,
    message: String,
    pointer: Option<String>,
    details: Option<Value>,
}

/// Reads what a process printed that was run for one call.
pub(crate) fn answer(bytes: &[u8]) -> Result<Reply, Error> {
    read(bytes)?.reply(bytes)
}

/// Reads one line of a program that serves.
///
/// # Errors
///
/// `Internal`: it is none, and nobody can tell whose answer it should have been.
pub(crate) fn line(bytes: &[u8]) -> Result<Said, Error> {
    let message = read(bytes)?;
    if let Some(id) = message.id {
        return Ok(Said::Answer(id, message.reply(bytes)));
    }
    match (message.tell.as_deref(), message.payload, message.log, message.message) {
        (Some(wire::tell::PROGRESS), Some(progress), None, None) => Ok(Said::Progress(progress)),
        (None, None, Some(level), Some(text)) => {
            Ok(Said::Log(level.parse().unwrap_or(tracing::Level::INFO), text))
        }
        _ => Err(nonsense("neither an answer with an `id`, nor `tell`, nor `log`", bytes)),
    }
}

fn read(bytes: &[u8]) -> Result<Message, Error> {
    serde_json::from_slice(bytes).map_err(|e| nonsense(&e.to_string(), bytes))
}

impl Message {
    fn reply(self, bytes: &[u8]) -> Result<Reply, Error> {
        match (self.ok, self.error, self.again_in) {
            (Some(ok), None, None) => Ok(Reply::Done(ok)),
            (None, Some(wrong), None) => Err(wrong.into()),
            (None, None, Some(seconds)) => Ok(Reply::Again(seconds.into())),
            _ => Err(nonsense("not exactly one of `ok`, `error`, `again_in`", bytes)),
        }
    }
}

impl From<Wrong> for Error {
    fn from(Wrong { kind, message, pointer, details }: Wrong) -> Self {
        let (kind, message) = match named(&kind) {
            Some(kind) => (kind, message),
            None => (ErrorKind::Internal, format!("{message} (of an unknown kind `{kind}`)")),
        };
        Self { kind, message, pointer, details }
    }
}

/// The kinds that a program may name.
pub(crate) fn kinds() -> impl Iterator<Item = (String, ErrorKind)> {
    // From `Panic` on they say what became of the plugin, which the program is not.
    let told = |kind: &&ErrorKind| u32::from(**kind) < ErrorKind::Panic.into();
    ErrorKind::ALL.iter().filter(told).map(|kind| (snake_case(&format!("{kind:?}")), *kind))
}

fn named(name: &str) -> Option<ErrorKind> {
    kinds().find(|(known, _)| known == name).map(|(_, kind)| kind)
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The answer to `verb` as the host's own type.
///
/// # Errors
///
/// `Internal`: it is something else.
pub(crate) fn typed<T: DeserializeOwned>(verb: Verb, answer: &RawValue) -> Result<T, Error> {
    serde_json::from_str(answer.get()).map_err(|e| {
        nonsense(&format!("no answer to `{}`: {e}", verb.name()), answer.get().as_bytes())
    })
}

pub(crate) fn nonsense(why: &str, bytes: &[u8]) -> Error {
    Error::internal(format!("the program says what makes no sense ({why}): {}", shown(bytes)))
}

/// The beginning of what was said, for people.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let begin = &bytes[..bytes.len().min(SHOWN)];
    let more = if begin.len() < bytes.len() { " ..." } else { "" };
    format!("{:?}{more}", String::from_utf8_lossy(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> Error {
        answer(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn an_answer_is_exactly_one_thing() {
        for text in [r#"{"ok":null}"#, "{\"ok\":null}\n", r#" {"ok":null,"new":1}"#] {
            let Ok(Reply::Done(ok)) = answer(text.as_bytes()) else { panic!("{text}") };
            assert_eq!(ok.get(), "null");
        }
        let Ok(Reply::Again(pause)) = answer(br#"{"again_in":0.5}"#) else { panic!("no pause") };
        assert_eq!(pause, Duration::from_millis(500));
        for text in ["", "{}", "3", "nope", r#"{"ok":1,"again_in":1}"#, r#"{"ok":1} {"ok":2}"#] {
            let error = failure(text);
            assert_eq!(error.kind, ErrorKind::Internal, "{text}");
            assert!(error.message.contains(&shown(text.as_bytes())), "{error}");
        }
    }

    #[test]
    fn nonsense_is_shown_as_far_as_it_helps() {
        let error = failure(&"x".repeat(1000));
        assert!(error.message.ends_with(&format!("\"{}\" ...", "x".repeat(SHOWN))), "{error}");
        assert!(answer(b"\xff").unwrap_err().message.contains('\u{fffd}'));
    }

    #[test]
    fn every_kind_of_an_executor_has_a_name() {
        let names: Vec<_> = kinds().map(|(name, _)| name).collect();
        let known = [
            "invalid_config",
            "invalid_job",
            "unsupported",
            "not_found",
            "already_exists",
            "unavailable",
            "exhausted",
            "timeout",
            "cancelled",
            "denied",
            "internal",
        ];
        assert_eq!(names, known);
    }

    #[test]
    fn the_manual_lists_every_kind_and_every_verb() {
        let manual = include_str!("../../../docs/command-plugin.md");
        let verbs = Verb::ALL.iter().map(|verb| verb.name().to_owned());
        for name in kinds().map(|(name, _)| name).chain(verbs) {
            assert!(manual.contains(&format!("| `{name}` |")), "no row for `{name}`");
        }
    }

    #[test]
    fn an_error_has_its_kind_by_name() {
        let error = failure(
            r#"{"error":{"kind":"invalid_job","message":"no","pointer":"/run","details":{"a":1}}}"#,
        );
        assert_eq!((error.kind, &*error.message), (ErrorKind::InvalidJob, "no"));
        assert_eq!(error.pointer.as_deref(), Some("/run"));
        assert_eq!(error.details.unwrap()["a"], 1);
        for kind in ["hung", "InvalidJob", ""] {
            let error = failure(&format!(r#"{{"error":{{"kind":"{kind}","message":"no"}}}}"#));
            assert_eq!(error.kind, ErrorKind::Internal);
            assert!(error.message.contains(kind), "{error}");
        }
    }

    #[test]
    fn a_line_is_an_answer_or_progress_or_a_log_line() {
        assert!(matches!(line(br#"{"id":7,"ok":1}"#), Ok(Said::Answer(7, Ok(Reply::Done(_))))));
        // Of this nonsense it is known whose answer it is.
        assert!(matches!(line(br#"{"id":7}"#), Ok(Said::Answer(7, Err(_)))));
        let told =
            br#"{"tell":"progress","payload":{"attempt_tag":"a","progress":{"message":"m"}}}"#;
        let Ok(Said::Progress(told)) = line(told) else { panic!("no progress") };
        assert_eq!(told.progress.message, Some(Some("m".to_owned())));
        let Ok(Said::Log(level, text)) = line(br#"{"log":"warn","message":"m"}"#) else {
            panic!("no log line")
        };
        assert_eq!((level, &*text), (tracing::Level::WARN, "m"));
        for text in ["{}", r#"{"ok":1}"#, r#"{"tell":"more"}"#, r#"{"log":"info"}"#, "[]", ""] {
            assert_eq!(line(text.as_bytes()).unwrap_err().kind, ErrorKind::Internal, "{text}");
        }
    }
}
