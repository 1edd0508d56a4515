//! How an error is told: the one printer that walks from what failed to why.
//!
//! No error prints its own source, so every place that shows one goes through [`Chain`]: the command
//! line and tests with one cause per line (`{:#}`), logs and answers on one line (`{}`).

use std::{error::Error, fmt};

/// An error and what is behind it.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // A crate that breaks the rule and repeats its source has said it already.
            if !said.ends_with(&text) {
                if f.alternate() {
                    // Later lines of one cause stand below its first.
                    write!(f, "\n  because: {}", text.replace('\n', "\n    "))?;
                } else {
                    write!(f, ": {}", text.replace('\n', " "))?;
                }
            }
            said = text;
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Step {
        text: &'static str,
        source: Option<Box<dyn Error>>,
    }

    fn steps(texts: &[&'static str]) -> Step {
        let (text, rest) = texts.split_first().unwrap();
        let source = (!rest.is_empty()).then(|| Box::new(steps(rest)) as Box<dyn Error>);
        Step { text, source }
    }

    #[test]
    fn every_cause_is_told_once_and_in_order() {
        let error = steps(&["cannot open the store", "cannot lock `a.lock`", "denied"]);
        assert_eq!(
            Chain(&error).to_string(),
            "cannot open the store: cannot lock `a.lock`: denied"
        );
        assert_eq!(
            format!("{:#}", Chain(&error)),
            "cannot open the store\n  because: cannot lock `a.lock`\n  because: denied"
        );
    }

    #[test]
    fn what_repeats_its_source_is_not_repeated_again() {
        let error = steps(&["cannot read: denied", "denied"]);
        assert_eq!(Chain(&error).to_string(), "cannot read: denied");
    }

    #[test]
    fn a_cause_of_two_lines_stays_in_its_place() {
        let error = Step { text: "no", source: Some(Box::new(io::Error::other("one\ntwo"))) };
        assert_eq!(Chain(&error).to_string(), "no: one two");
        assert_eq!(format!("{:#}", Chain(&error)), "no\n  because: one\n    two");
    }
}
