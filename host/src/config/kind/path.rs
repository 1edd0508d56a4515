//! Files and programs. A relative path starts at the directory of the configuration file, so that a
//! configuration means the same wherever the host is started.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{
    super::{node::Value, reader::Spot},
    Kind,
};

/// A file or a directory.
pub(crate) struct FilePath;

impl Kind for FilePath {
    type Out = PathBuf;

    fn name(&self) -> String {
        "path".to_owned()
    }

    fn expected(&self) -> String {
        "a path".to_owned()
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<PathBuf> {
        match value {
            Value::Text(path) if is_path(path) => Some(spot.base().join(path)),
            _ => {
                spot.wrong(&self.expected(), value);
                None
            }
        }
    }

    fn show(&self, value: &PathBuf) -> Json {
        value.to_string_lossy().into()
    }
}

/// A program: a bare name is looked up in `PATH`, anything with a slash is a path.
pub(crate) struct Program;

impl Kind for Program {
    type Out = String;

    fn name(&self) -> String {
        "program".to_owned()
    }

    fn expected(&self) -> String {
        "a program's name or path".to_owned()
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<String> {
        match value {
            Value::Text(name) if is_path(name) => Some(program(spot.base(), name)),
            _ => {
                spot.wrong(&self.expected(), value);
                None
            }
        }
    }

    fn show(&self, value: &String) -> Json {
        value.as_str().into()
    }
}

/// A program and its arguments.
pub(crate) struct Command;

impl Kind for Command {
    type Out = Vec<String>;

    fn name(&self) -> String {
        "list: program, arguments".to_owned()
    }

    fn expected(&self) -> String {
        "a program and its arguments such as [\"./score\", \"--fast\"]".to_owned()
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<Vec<String>> {
        let Value::List(items) = value else {
            match value {
                Value::Text(line) if !line.trim().is_empty() => {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    // No shell reads a command: quotes and variables would be taken literally.
                    spot.wrong_with_hint(&self.expected(), value, format!("write `{words:?}`"));
                }
                _ => spot.wrong(&self.expected(), value),
            }
            return None;
        };
        let mut command = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match &item.value {
                Value::Text(name) if index == 0 && is_path(name) => {
                    command.push(program(spot.base(), name))
                }
                Value::Text(argument) if index > 0 && !argument.contains('\0') => {
                    command.push(argument.clone())
                }
                other => {
                    let (part, expected) = match index {
                        0 => ("item 1".to_owned(), "a program's name or path"),
                        _ => (format!("item {}", index + 1), "a string"),
                    };
                    spot.at(item.at).called(&part).wrong(expected, other);
                }
            }
        }
        if items.is_empty() {
            spot.wrong(&self.expected(), value);
        }
        (!command.is_empty() && command.len() == items.len()).then_some(command)
    }

    fn show(&self, value: &Vec<String>) -> Json {
        value.clone().into()
    }
}

/// No operating system can hold a path that is empty or has a NUL in it.
fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0')
}

fn program(base: &Path, name: &str) -> String {
    if name.contains('/') {
        base.join(name).to_string_lossy().into_owned()
    } else {
        name.to_owned()
    }
}
