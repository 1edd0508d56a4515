//! The plugin directory as it was last looked at: which files could be plugins, and which of them are
//! to be used.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::{self, Moment},
    config::Plugins,
    plugin::{
        candidate::Candidate,
        copies::Copies,
        pins::Pins,
        problem::{Code, PluginProblem},
        shelf::{self, Look, Shelf},
        stamp::Stamp,
    },
};

/// What is wrong, and since when; milliseconds UTC.
type Refusal = (PluginProblem, i64);

/// What is known of the directory between two looks.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Every plugin that can be used, by name.
    usable: BTreeMap<String, Arc<Candidate>>,
    /// Everything that cannot, in the order of the files.
    refused: Vec<Refusal>,
}

/// Looks, and remembers what it saw.
#[derive(Debug, Default)]
pub(super) struct Directory {
    shelf: Shelf,
    files: BTreeMap<PathBuf, Result<Arc<Candidate>, Refusal>>,
    /// Every plugin that can be used, by name.
    usable: BTreeMap<String, Arc<Candidate>>,
    /// Files that are not used because of others.
    twins: BTreeMap<PathBuf, Refusal>,
    /// The directory itself cannot be read.
    trouble: Option<Refusal>,
    /// The lock file that the files were compared with.
    lock: Option<Stamp>,
    /// When refused files are looked at again, though they are as they were.
    recheck: Option<Moment>,
}

/// A directory on the way to a file may have been mended, or a disk that was full.
const RECHECK: Duration = Duration::from_secs(10);

/// A plugin that is another one now, or none.
pub(super) struct Change {
    pub(super) plugin: String,
    pub(super) now: Result<Arc<Candidate>, PluginProblem>,
}

impl Directory {
    /// Looks for the first time, and takes what it finds for settled. Blocks.
    pub(super) fn stock(settings: &Plugins, copies: &Copies) -> Self {
        let mut this = Self { lock: stamp(&settings.lock), ..Self::default() };
        let listing = this.list(settings, shelf::settled);
        let looks = listing.map(|listing| this.shelf.stock(listing)).unwrap_or_default();
        this.take(looks, settings, copies);
        this
    }

    /// Looks again. Blocks.
    pub(super) fn look(&mut self, settings: &Plugins, copies: &Copies) -> Vec<Change> {
        let lock = stamp(&settings.lock);
        if lock != self.lock {
            self.lock = lock;
            let files: Vec<_> = self.files.keys().cloned().collect();
            files.iter().for_each(|file| self.shelf.again(file));
        }
        if self.recheck.is_none_or(|at| at.remaining().is_zero()) {
            self.recheck = Some(Moment::now().after(RECHECK));
            let refused = self.files.iter().filter(|(_, examined)| examined.is_err());
            let refused: Vec<_> = refused.map(|(file, _)| file.clone()).collect();
            refused.iter().for_each(|file| self.shelf.again(file));
        }
        let Some(listing) = self.list(settings, shelf::listing) else { return Vec::new() };
        let looks = self.shelf.look(listing);
        if looks.is_empty() { Vec::new() } else { self.take(looks, settings, copies) }
    }

    fn list(
        &mut self,
        settings: &Plugins,
        look: impl FnOnce(&Path) -> Result<shelf::Listing, PluginProblem>,
    ) -> Option<shelf::Listing> {
        match look(&settings.dir) {
            Ok(listing) => {
                self.trouble = None;
                Some(listing)
            }
            // Nobody said that it should be there.
            Err(_) if !settings.dir_named && !settings.dir.exists() => {
                self.trouble = None;
                Some(shelf::Listing::new())
            }
            Err(problem) => {
                if self.trouble.is_none() {
                    self.trouble = Some(refused(problem));
                }
                None
            }
        }
    }

    fn take(&mut self, looks: Vec<Look>, settings: &Plugins, copies: &Copies) -> Vec<Change> {
        let pins = Pins::read(&settings.lock, settings.require_pins);
        for look in looks {
            match look {
                Look::New(file) | Look::Changed(file) => self.examine(file, copies, &pins),
                Look::Gone(file) => drop(self.files.remove(&file)),
            }
        }
        let (usable, twins) = choose(&self.files, &self.usable);
        for (file, problem) in &twins {
            if !self.twins.contains_key(file) {
                tracing::warn!(code = %problem.code, "{problem}");
            }
        }
        let before = std::mem::replace(&mut self.usable, usable);
        let known = std::mem::take(&mut self.twins);
        self.twins = twins
            .into_iter()
            .map(|(file, problem)| {
                let since = known.get(&file).map_or_else(clock::wall_ms, |(_, since)| *since);
                (file, (problem, since))
            })
            .collect();
        self.changes(&before)
    }

    fn examine(&mut self, file: PathBuf, copies: &Copies, pins: &Pins) {
        let examined = match Candidate::examine(&file, copies, pins) {
            Ok(candidate) => Ok(Arc::new(candidate)),
            // Somebody still writes it. What it was is what it is, until then.
            Err(problem) if problem.code == Code::Changing => return self.shelf.again(&file),
            Err(problem) => match self.files.remove(&file) {
                // Nothing new: it is not said again.
                Some(Err((before, since))) if before.to_string() == problem.to_string() => {
                    Err((before, since))
                }
                _ => Err(refused(problem)),
            },
        };
        self.files.insert(file, examined);
    }

    fn changes(&self, before: &BTreeMap<String, Arc<Candidate>>) -> Vec<Change> {
        let new = self.usable.iter().filter(|(name, now)| {
            before.get(*name).is_none_or(|before| before.digest != now.digest)
        });
        let new = new.map(|(name, now)| Change { plugin: name.clone(), now: Ok(Arc::clone(now)) });
        let gone = before.iter().filter(|(name, _)| !self.usable.contains_key(*name));
        let gone = gone.map(|(name, before)| {
            let problem = self.refusal_of(name).unwrap_or_else(|| {
                let message = "its file was removed; what it runs goes on, new jobs wait until it \
                               is put back";
                PluginProblem::new(Code::Gone, message).plugin(name).file(&before.file)
            });
            Change { plugin: name.clone(), now: Err(problem) }
        });
        new.chain(gone).collect()
    }

    /// What it saw.
    pub(super) fn known(&self) -> Known {
        Known { usable: self.usable.clone(), refused: self.refused().cloned().collect() }
    }

    fn refused(&self) -> impl Iterator<Item = &Refusal> {
        let files = self.files.values().filter_map(|examined| examined.as_ref().err());
        self.trouble.iter().chain(files).chain(self.twins.values())
    }

    fn refusal_of(&self, name: &str) -> Option<PluginProblem> {
        refusal_of(self.refused(), name)
    }
}

impl Known {
    /// The plugin of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Candidate>> {
        self.usable.get(name)
    }

    /// Every plugin that can be used, by name.
    pub(super) fn usable(&self) -> impl Iterator<Item = &Arc<Candidate>> {
        self.usable.values()
    }

    /// Everything that cannot, in the order of the files.
    pub(super) fn refused(&self) -> impl Iterator<Item = &Refusal> {
        self.refused.iter()
    }

    /// Why the plugin of that name is not used, if a file of that name is there.
    pub(super) fn refusal_of(&self, name: &str) -> Option<PluginProblem> {
        refusal_of(self.refused(), name)
    }
}

fn refusal_of<'a>(refused: impl Iterator<Item = &'a Refusal>, name: &str) -> Option<PluginProblem> {
    let mut problems = refused.map(|(problem, _)| problem);
    problems.find(|problem| problem.plugin.as_deref() == Some(name)).cloned()
}

/// Which files are used. Of two contents that say that they are the same plugin neither is: which one
/// was meant is the operator's to say. One that is in use stays so, whatever comes beside it or in its
/// place, until its file is gone or a good one has taken its place.
fn choose(
    files: &BTreeMap<PathBuf, Result<Arc<Candidate>, Refusal>>,
    before: &BTreeMap<String, Arc<Candidate>>,
) -> (BTreeMap<String, Arc<Candidate>>, BTreeMap<PathBuf, PluginProblem>) {
    let mut named: BTreeMap<&str, Vec<&Arc<Candidate>>> = BTreeMap::new();
    for candidate in files.values().flatten() {
        named.entry(&candidate.note.name).or_default().push(candidate);
    }
    let mut usable = BTreeMap::new();
    let mut twins = BTreeMap::new();
    for (name, candidates) in &named {
        let Some((first, others)) = candidates.split_first() else { continue };
        let used = before.get(*name);
        let in_use = used.and_then(|used| candidates.iter().find(|one| one.digest == used.digest));
        let other = others.iter().find(|one| one.digest != first.digest);
        match (other, in_use) {
            // Two names of one content are no question.
            (None, _) => drop(usable.insert((*name).to_owned(), Arc::clone(first))),
            (Some(_), Some(in_use)) => {
                usable.insert((*name).to_owned(), Arc::clone(in_use));
                let others = candidates.iter().filter(|one| one.digest != in_use.digest);
                twins.extend(others.map(|one| (one.file.clone(), beside(name, one, in_use))));
            }
            (Some(other), None) => {
                for one in candidates {
                    let twin = if one.digest == first.digest { other } else { first };
                    twins.insert(one.file.clone(), duplicate(name, one, twin));
                }
            }
        }
    }
    for (name, used) in before {
        // Its file says nothing usable now; its copy is as good as it was.
        let broken = files.get(&used.file).is_some_and(Result::is_err);
        if broken && !named.contains_key(&**name) {
            usable.insert(name.clone(), Arc::clone(used));
        }
    }
    (usable, twins)
}

fn duplicate(name: &str, one: &Candidate, twin: &Candidate) -> PluginProblem {
    let twin = twin.file.display();
    let message =
        format!("`{twin}` says that it is plugin `{name}` too, so neither is used; remove one");
    PluginProblem::new(Code::Duplicate, message).file(&one.file).plugin(name)
}

fn beside(name: &str, one: &Candidate, in_use: &Candidate) -> PluginProblem {
    let in_use = in_use.file.display();
    let message = format!(
        "`{in_use}` is plugin `{name}` already and stays in use; to replace it, move this file there"
    );
    PluginProblem::new(Code::Duplicate, message).file(&one.file).plugin(name)
}

fn refused(problem: PluginProblem) -> Refusal {
    tracing::warn!(code = %problem.code, "{problem}");
    (problem, clock::wall_ms())
}

fn stamp(file: &Path) -> Option<Stamp> {
    fs::metadata(file).ok().map(|found| Stamp::of(&found))
}
