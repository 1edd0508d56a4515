//! A job's parameters, as a person gives them.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Map, Value};

use super::error::CliError;

/// One way of three.
#[derive(Args, Debug)]
pub(super) struct Params {
    /// Parameters as `NAME=VALUE`; a value that is JSON counts as such (`n=3`, `on=true`,
    /// `ids=[1,2]`), everything else is text. `'n="3"'` is text, too.
    #[arg(value_name = "NAME=VALUE", conflicts_with_all = ["params", "params_file"])]
    pairs: Vec<String>,
    /// Parameters as one JSON object.
    #[arg(long, value_name = "JSON", conflicts_with = "params_file")]
    params: Option<String>,
    /// File with the parameters, one JSON object; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    params_file: Option<PathBuf>,
}

impl Params {
    pub(super) fn read(&self) -> Result<Map<String, Value>, CliError> {
        match (&self.params, &self.params_file) {
            (Some(text), _) => object("--params", text),
            (None, Some(path)) => object(&path.display().to_string(), &file(path)?),
            (None, None) => pairs(&self.pairs),
        }
    }
}

fn file(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|source| CliError::Unreadable {
        what: "the parameters",
        path: path.to_owned(),
        source,
    })
}

fn object(what: &str, text: &str) -> Result<Map<String, Value>, CliError> {
    let wrong = |message: String| CliError::Input { what: what.to_owned(), message };
    match serde_json::from_str(text) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(other) => Err(wrong(format!(
            "expected a JSON object with a value for each parameter, got {}",
            kind(&other)
        ))),
        Err(error) => Err(wrong(format!("this is not JSON: {error}"))),
    }
}

fn pairs(pairs: &[String]) -> Result<Map<String, Value>, CliError> {
    let mut params = Map::new();
    for pair in pairs {
        let wrong = |message: &str| CliError::Input {
            what: format!("parameter `{pair}`"),
            message: message.to_owned(),
        };
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| wrong("expected NAME=VALUE"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        if params.insert(name.to_owned(), value).is_some() {
            return Err(wrong("this name was given before"));
        }
    }
    Ok(params)
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_json_where_it_can_be() {
        let given = ["n=3", "text=three", "quoted=\"3\"", "list=[1, 2]", "empty=", "equation=a=b"];
        let read = pairs(&given.map(str::to_owned)).unwrap();
        let expected = json!({
            "n": 3, "text": "three", "quoted": "3", "list": [1, 2], "empty": "", "equation": "a=b",
        });
        assert_eq!(Value::Object(read), expected);
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        for wrong in [["a"].as_slice(), &["=1"], &["a=1", "a=2"]] {
            let given: Vec<_> = wrong.iter().map(|&pair| pair.to_owned()).collect();
            assert!(pairs(&given).is_err(), "{wrong:?}");
        }
        assert!(object("--params", "[1]").is_err());
        assert!(object("--params", "{").is_err());
    }
}
