//! From what an executor calls a result to what may stand in a row: JSON within its limit that every
//! client can read.
//!
//! An executor passes a result on as text and looks at no more of it than where it ends. Half a
//! character (`"\\ud800"`), a number beyond all numbers or a tower of brackets would get as far as the
//! first client that reads a page of jobs, and cost it the page.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::job::Outcome;

/// How deep a result may be nested. Readers give up at 128 (`serde_json`, ours among them) or later,
/// and what carries the result to them has a few levels of its own.
const LEVELS: usize = 100;

/// The outcome of work that returned `result`: a failure if that is longer than `max` bytes or cannot
/// be read by everybody.
pub(crate) fn outcome(result: &RawValue, max: usize) -> Outcome {
    let text = result.get();
    if text.len() > max {
        let length = text.len();
        let error = format!(
            "the result has {length} bytes, the limit (`limits.result`) is {max}; return less, or a reference to where it is"
        );
        return Outcome::Failed { error };
    }
    match readable(text) {
        Ok(()) => Outcome::Succeeded { result: text.to_owned() },
        Err(why) => {
            let error = format!("the result cannot be read by every client: {}", plainly(&why));
            Outcome::Failed { error }
        }
    }
}

fn readable(text: &str) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    // Ours is the limit, with a message that says so.
    Levels(LEVELS).deserialize(&mut json)?;
    json.end()
}

/// What is wrong, for people: the parser knows half a character only as an escape that ends too soon.
fn plainly(why: &serde_json::Error) -> String {
    let said = why.to_string();
    if said.contains("hex escape") || said.contains("surrogate") {
        let (line, column) = (why.line(), why.column());
        return format!(
            "a string holds half a character (a lone surrogate, `\\ud800` to `\\udfff`) at line {line} column {column}"
        );
    }
    said
}

/// Reads a value of at most so many levels, and keeps nothing of it.
#[derive(Clone, Copy)]
struct Levels(usize);

impl Levels {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let deeper = || E::custom(format!("it is nested more than {LEVELS} levels deep"));
        self.0.checked_sub(1).map(Self).ok_or_else(deeper)
    }
}

impl<'de> DeserializeSeed<'de> for Levels {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Levels {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while entries.next_entry_seed(inner, inner)?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn error(text: &str) -> Option<String> {
        match outcome(&RawValue::from_string(text.to_owned()).unwrap(), 1 << 20) {
            Outcome::Succeeded { result } => {
                assert_eq!(result, text);
                None
            }
            Outcome::Failed { error } => Some(error),
            other => panic!("{other:?}"),
        }
    }

    fn tower(levels: usize) -> String {
        let mut text = "1".to_owned();
        for level in 0..levels {
            text = if level % 2 == 0 { format!("[{text}]") } else { format!("{{\"a\":{text}}}") };
        }
        text
    }

    #[test]
    fn any_json_is_a_result_and_its_text_is_kept() {
        for text in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "123456789012345678901234567890",
            "1.50",
            r#""\u0000\ud83d\ude00""#,
            r#"[1, {"a": {}, "a": [null, "x"]}]"#,
        ] {
            assert_eq!(error(text), None, "{text}");
        }
    }

    #[test]
    fn what_some_client_could_not_read_is_a_failure_that_says_why() {
        for (text, why) in [
            (r#"["\ud800"]"#, "half a character"),
            (r#"["\ud800x"]"#, "half a character"),
            (r#"["\ud800\n"]"#, "half a character"),
            (r#"["\ud800\ud800"]"#, "half a character"),
            (r#"{"\udc00x": 1}"#, "half a character"),
            ("[1e999]", "number out of range"),
        ] {
            assert!(error(text).unwrap().contains(why), "{text}: {:?}", error(text));
        }
    }

    #[test]
    fn what_is_nested_as_deep_as_allowed_can_still_be_read_in_a_list_of_jobs() {
        let allowed = tower(LEVELS);
        assert_eq!(error(&allowed), None);
        let page = format!(r#"{{"jobs":[{{"result":{allowed}}}]}}"#);
        serde_json::from_str::<Value>(&page).unwrap();
        for levels in [LEVELS + 1, 130, 100_000] {
            let error = error(&tower(levels)).unwrap();
            assert!(error.contains("nested more than 100 levels deep"), "{error}");
        }
    }
}
