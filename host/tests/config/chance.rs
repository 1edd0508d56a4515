//! No input makes the host panic.

use longshore::config::Declared;
use proptest::prelude::*;

use super::*;

/// Lines that are almost configuration, so that chance gets past the parser.
fn almost_toml() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "state_dir",
        "listen",
        "url",
        "tls",
        "plugin",
        "config",
        "timeout",
        "retry",
        "function",
        "command",
        "exclusive",
        "priority",
        "python",
        "resources",
        "requests",
        "name",
        "sha256",
        "role",
        "level",
        "\"é\"",
    ]);
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "nan",
        "inf",
        "1e400",
        "\"\"",
        "\"30s\"",
        "\"é\"",
        "true",
        "[]",
        "{}",
        "[[1]]",
        "{ a = nan }",
        "\"sqlite:\"",
        "\"local\"",
        "1979-05-27",
        "0x7fffffffffffffffffffffffffffffff1",
        "\"0\\u0000\"",
    ]);
    let header = prop::sample::select(vec![
        "[server]",
        "[database]",
        "[executors.local]",
        "[executors]",
        "[routing]",
        "[python]",
        "[defaults]",
        "[jobs.a]",
        "[jobs.\"\"]",
        "[[jobs.a]]",
        "[[tokens]]",
        "[tokens]",
        "[log]",
        "[limits]",
        "[jobs.a.retry]",
    ]);
    let line = prop_oneof![
        (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        header.prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = Config::from_toml(&text, Path::new(PATH));
    }

    #[test]
    fn no_near_miss_panics(text in almost_toml()) {
        if let Err(mistakes) = Config::from_toml(&text, Path::new(PATH)) {
            prop_assert!(mistakes.iter().count() > 0);
            prop_assert!(mistakes.iter().all(|mistake| mistake.at.is_some()), "{}\n{}", mistakes, text);
        }
    }

    #[test]
    fn no_answer_of_python_panics(text: String) {
        let _ = Declared::parse(&text);
    }
}
