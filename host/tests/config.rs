//! What the host says about its configuration, word for word, and what it makes of a right one.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "config/chance.rs"]
mod chance;
#[path = "config/declared.rs"]
mod declared;
#[path = "config/describing.rs"]
mod describing;
#[path = "config/messages.rs"]
mod messages;
#[path = "config/reference.rs"]
mod reference;
#[path = "config/surroundings.rs"]
mod surroundings;
#[path = "config/values.rs"]
mod values;

use std::path::Path;

use longshore::config::Config;

const PATH: &str = "/etc/longshore/longshore.toml";

/// What is said about `text`.
fn said(text: &str) -> String {
    match Config::from_toml(text, Path::new(PATH)) {
        Ok(_) => "no mistakes".to_owned(),
        Err(mistakes) => mistakes.to_string().replace("/etc/longshore/", ""),
    }
}

fn read(text: &str) -> Config {
    Config::from_toml(text, Path::new(PATH)).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// Compares what is said with what was agreed on.
fn agreed(name: &str, said: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots/config");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, said));
}
