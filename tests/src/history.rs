//! What jobs write down themselves, in a file that no host reads: the witness against the host.
//!
//! Each line is one write with `O_APPEND`, so the order of the lines is the order of what happened,
//! across all processes:
//!
//! ```text
//!   start|beat|end JOB ATTEMPT RUN     by a job; RUN numbers the runs of the host
//!   kill RUN                           by the test
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

/// The file.
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
}

/// One line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The test has killed that run of the host.
    Kill(u64),
    /// An attempt did something.
    Did(Deed, Doer),
}

/// What an attempt did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deed {
    /// The first thing it did.
    Start,
    /// It is at work.
    Beat,
    /// The last thing it did.
    End,
}

/// Which attempt, under which run of the host.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Doer {
    /// The job's id.
    pub job: String,
    /// The attempt's number.
    pub attempt: u64,
    /// Which run of the host started it.
    pub run: u64,
}

impl History {
    /// The history in that directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { path: directory.join("history") }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes that a run of the host was killed.
    ///
    /// # Panics
    ///
    /// It cannot be written.
    pub fn killed(&self, run: u64) {
        let line = format!("kill {run}\n");
        let opened = OpenOptions::new().append(true).create(true).open(&self.path);
        let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("cannot write {}: {error}", self.path.display()));
    }

    /// The whole of it. Lines that make no sense come as faults of the check.
    #[must_use]
    pub fn read(&self) -> Vec<Result<Event, String>> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().map(|line| parse(line).ok_or_else(|| line.to_owned())).collect()
    }

    /// How many attempts have written their last line.
    #[must_use]
    pub fn ends(&self) -> usize {
        let ends = |event: &Result<Event, String>| matches!(event, Ok(Event::Did(Deed::End, _)));
        self.read().iter().filter(|event| ends(event)).count()
    }

    /// The attempts of each job that came to their end, in the order in which they did.
    #[must_use]
    pub fn ended(&self) -> BTreeMap<String, Vec<u64>> {
        let mut ended: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for event in self.read().into_iter().flatten() {
            if let Event::Did(Deed::End, doer) = event {
                ended.entry(doer.job).or_default().push(doer.attempt);
            }
        }
        ended
    }

    /// What is wrong with it; nothing, if all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        faults(self.read())
    }
}

fn parse(line: &str) -> Option<Event> {
    let mut words = line.split(' ');
    let deed = match words.next()? {
        "kill" => {
            let run = words.next()?.parse().ok()?;
            return words.next().is_none().then_some(Event::Kill(run));
        }
        "start" => Deed::Start,
        "beat" => Deed::Beat,
        "end" => Deed::End,
        _ => return None,
    };
    let job = words.next()?.to_owned();
    let attempt = words.next()?.parse().ok()?;
    let run = words.next()?.parse().ok()?;
    words.next().is_none().then_some(Event::Did(deed, Doer { job, attempt, run }))
}

/// Checks a history: an attempt acts only between its start and the start of the next attempt of its
/// job; none starts twice or out of order; each start has an end, or a killed host.
#[must_use]
pub fn faults(events: impl IntoIterator<Item = Result<Event, String>>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut killed = BTreeSet::new();
    // The latest attempt of each job, and whether it has ended.
    let mut latest: BTreeMap<String, (Doer, bool)> = BTreeMap::new();
    let mut unended = Vec::new();
    for event in events {
        let (deed, doer) = match event {
            Err(line) => {
                faults.push(format!("a line makes no sense: {line:?}"));
                continue;
            }
            Ok(Event::Kill(run)) => {
                killed.insert(run);
                continue;
            }
            Ok(Event::Did(deed, doer)) => (deed, doer),
        };
        let Doer { job, attempt, .. } = &doer;
        let before = latest.get_mut(job);
        match (deed, before) {
            (Deed::Start, Some((known, _))) if *attempt <= known.attempt => {
                faults.push(format!(
                    "{job}: attempt {attempt} starts after attempt {}",
                    known.attempt
                ));
            }
            (Deed::Start, before) => {
                if let Some((known, false)) = before {
                    if known.run == doer.run {
                        faults.push(format!(
                            "{job}: attempt {attempt} starts while attempt {} is at work",
                            known.attempt
                        ));
                    }
                    unended.push(known.clone());
                }
                latest.insert(job.clone(), (doer, false));
            }
            (_, Some((known, ended))) if *known == doer => {
                if deed == Deed::End && std::mem::replace(ended, true) {
                    faults.push(format!("{job}: attempt {attempt} ends twice"));
                }
            }
            (_, Some((known, _))) => {
                faults.push(format!(
                    "{job}: attempt {attempt} acts after attempt {} has started",
                    known.attempt
                ));
            }
            (_, None) => faults.push(format!("{job}: attempt {attempt} acts before its start")),
        }
    }
    unended.extend(latest.into_values().filter(|(_, ended)| !ended).map(|(doer, _)| doer));
    // Not by place in the file: what a killed host has just started may write its first line after we
    // have written down the kill.
    for Doer { job, attempt, run } in unended {
        if !killed.contains(&run) {
            faults
                .push(format!("{job}: attempt {attempt} never ends, and nobody killed host {run}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        faults(text.lines().map(|line| parse(line.trim()).ok_or_else(|| line.to_owned())))
    }

    #[test]
    fn a_good_history_has_no_faults() {
        let good = "start a 1 1\nbeat a 1 1\nstart b 1 1\nend a 1 1\nbeat a 1 1\nkill 1\nbeat b 1 1\n\
             start c 4 1\nstart b 2 2\nend b 2 2\nstart c 5 2\nkill 2\nstart c 7 3\nend c 7 3";
        assert_eq!(of(good), Vec::<String>::new());
    }

    #[test]
    fn every_bad_history_has_its_fault() {
        for (what, history, fault) in [
            (
                "overlap",
                "start a 1 1\nkill 1\nstart a 2 2\nbeat a 1 1\nend a 2 2",
                "a: attempt 1 acts after attempt 2 has started",
            ),
            (
                "an end too late",
                "start a 1 1\nkill 1\nstart a 2 2\nend a 1 1\nend a 2 2",
                "a: attempt 1 acts after attempt 2 has started",
            ),
            (
                "two at once",
                "start a 1 1\nstart a 2 1\nend a 2 1\nkill 1",
                "a: attempt 2 starts while attempt 1 is at work",
            ),
            ("twice", "start a 1 1\nstart a 1 1\nend a 1 1", "a: attempt 1 starts after attempt 1"),
            (
                "backwards",
                "start a 2 1\nend a 2 1\nstart a 1 1",
                "a: attempt 1 starts after attempt 2",
            ),
            ("two ends", "start a 1 1\nend a 1 1\nend a 1 1", "a: attempt 1 ends twice"),
            ("no end", "start a 1 1", "a: attempt 1 never ends, and nobody killed host 1"),
            (
                "no end of an earlier one",
                "start a 1 1\nstart a 2 2\nend a 2 2\nkill 2",
                "a: attempt 1 never ends, and nobody killed host 1",
            ),
            ("no start", "end a 1 1", "a: attempt 1 acts before its start"),
            ("torn", "start a 1 1\nend a 1 1\nen", "a line makes no sense: \"en\""),
            ("too long", "kill 1 2", "a line makes no sense: \"kill 1 2\""),
        ] {
            assert_eq!(of(history), [fault], "{what}");
        }
    }
}
