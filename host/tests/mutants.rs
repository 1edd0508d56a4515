//! A library that was damaged on its way here is told by the reason why it is not used, if the damage
//! shows; where it does not, it costs its own process, never the host's.

#[expect(dead_code, reason = "it is made for the tests of plugins")]
#[path = "plugins/bench.rs"]
mod bench;
#[expect(unreachable_pub, clippy::print_stdout, reason = "it is made for another crate")]
#[path = "../../tests/src/chance.rs"]
mod chance;
#[path = "mutants/damage.rs"]
mod damage;
#[expect(dead_code, unreachable_pub, reason = "it is made for another crate")]
#[path = "../../tests/src/leftovers.rs"]
mod leftovers;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    process::Command,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use longshore::{
    config::{Deadlines, ExecutorConfig, PluginIsolation},
    plugin::{HostedExecutor, Registry, Wanted},
};
use longshore_plugin_api::{Ending, Error};
use serde_json::json;

use self::{
    bench::{Place, attempt, job, smallest},
    chance::Chance,
    damage::{Damage, Kind, Library},
};

/// How many stand in a directory at once.
const SHELF: usize = 400;
/// How many are tried at once.
const ABREAST: usize = 4;
/// Nothing that is sound needs as long, and what hangs costs it.
const DEADLINE: Duration = Duration::from_secs(2);

const RUNS: &str = "runs a job";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_damaged_library_harms_its_host() {
    let library = stripped(smallest());
    let library = Library::of(&library, "smallest");
    let damages = library.damages(&mut Chance::new());
    let mut tally = Tally::default();
    let mut at_first = None;
    for (shelf, damages) in damages.chunks(SHELF).enumerate() {
        tally.judge(&library, shelf, damages).await;
        at_first.get_or_insert_with(Burden::now);
    }
    println!("{tally}");

    assert!(damages.len() >= 2_000, "{}", damages.len());
    assert!(tally.loaded * 10 >= damages.len(), "few looked good enough to be loaded");
    assert!(tally.codes().len() >= 12, "{:?}", tally.codes());
    let harmless = &tally.outcomes[&Kind::Harmless];
    assert_eq!(harmless.keys().collect::<Vec<_>>(), [RUNS], "{harmless:?}");

    let before = at_first.expect("there is more than one shelf");
    let after = Burden::now();
    assert!(after.descriptors <= before.descriptors, "{before:?}, {after:?}");
    assert!(after.memory_kb <= before.memory_kb + (32 << 10), "{before:?}, {after:?}");
}

/// Without what only debuggers read: most of a library, and none of its dangers.
fn stripped(library: &[u8]) -> Vec<u8> {
    let place = Place::with(&[("whole.so", library)]);
    let status = Command::new("strip")
        .arg("--strip-all")
        .arg(place.file("whole.so"))
        .status()
        .expect("`strip` is here: it comes with the linker");
    assert!(status.success());
    fs::read(place.file("whole.so")).expect("it is readable")
}

/// A name that no damage to one letter makes the name of another.
fn named(number: usize) -> String {
    format!("{number:04x}").chars().flat_map(|digit| [digit, digit]).collect()
}

/// What became of how many, by what was done to them.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<Kind, BTreeMap<String, usize>>,
    /// How many looked good enough to be loaded.
    loaded: usize,
}

impl Tally {
    /// Puts a directory full of them before a host, and has it run what it takes for a plugin.
    async fn judge(&mut self, library: &Library<'_>, shelf: usize, damages: &[Damage]) {
        let place = Place::with(&[]);
        for (number, damage) in damages.iter().enumerate() {
            let name = named(shelf * SHELF + number);
            let file = place.file(&format!("{number:04}.so"));
            fs::write(file, damage.of(library, &name)).expect("it is new");
        }
        let registry = place.discover();
        let entries = registry.list();
        assert_eq!(entries.len(), damages.len(), "each is a row");
        let entries = entries.into_iter().map(|entry| {
            let number = entry.path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            let number: usize = number.expect("it is one of them");
            (&damages[number], entry)
        });
        let registry = &registry;
        let outcomes = stream::iter(entries).map(async |(damage, entry)| match entry.problem {
            Some(problem) => (damage, problem.code.to_string(), false),
            None => {
                let name = entry.name.expect("what can be used has a name");
                (damage, run(registry, &name).await, true)
            }
        });
        let outcomes: Vec<_> = outcomes.buffer_unordered(ABREAST).collect().await;
        assert_eq!(leftovers::processes(place.temp.path()), [], "they outlived their executors");
        for (damage, outcome, loaded) in outcomes {
            *self.outcomes.entry(damage.kind).or_default().entry(outcome).or_default() += 1;
            self.loaded += usize::from(loaded);
        }
    }

    fn codes(&self) -> BTreeSet<&str> {
        let outcomes = self.outcomes.values().flat_map(BTreeMap::keys);
        outcomes.map(String::as_str).filter(|outcome| outcome.starts_with("E_")).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.outcomes.values().flat_map(BTreeMap::values).sum();
        writeln!(f, "{total} damaged libraries, {} loaded", self.loaded)?;
        let outcomes: BTreeSet<_> = self.outcomes.values().flat_map(BTreeMap::keys).collect();
        let kinds = || self.outcomes.iter();
        write!(f, "{:24}", "")?;
        kinds().try_for_each(|(kind, _)| write!(f, "{:>9}", format!("{kind:?}")))?;
        for outcome in outcomes {
            write!(f, "\n{outcome:24}")?;
            kinds().try_for_each(|(_, of)| write!(f, "{:>9}", of.get(outcome).unwrap_or(&0)))?;
        }
        Ok(())
    }
}

/// Loads it in a process of its own and has it run a job.
async fn run(registry: &Registry, plugin: &str) -> String {
    let deadlines = Deadlines {
        load: DEADLINE,
        open: DEADLINE,
        check_requirements: DEADLINE,
        start: DEADLINE,
        health: DEADLINE,
        margin: DEADLINE,
        ..Deadlines::default()
    };
    let config = ExecutorConfig::of(plugin, PluginIsolation::Process, json!({}));
    let wanted =
        Wanted { executor: plugin.to_owned(), config: ExecutorConfig { deadlines, ..config } };
    let (executor, settled) = in_time(registry.open(wanted, Arc::new(()))).await;
    let outcome = match settled {
        Err(problem) => problem.code.to_string(),
        Ok(()) => match tokio::time::timeout(DEADLINE, work(&*executor)).await {
            Err(_) => "hangs in its job".to_owned(),
            Ok(Err(error)) => format!("its job: {:?}", error.kind),
            Ok(Ok(Ending::Succeeded { result })) if result.get() == r#""done""# => RUNS.to_owned(),
            Ok(Ok(_)) => "its job ends otherwise".to_owned(),
        },
    };
    // It may have nobody to say goodbye to; that it ends is what counts.
    let _ = in_time(executor.stop(Duration::ZERO)).await;
    outcome
}

async fn work(executor: &dyn HostedExecutor) -> Result<Ending, Error> {
    executor.submit(&job("a", "{}")).await?;
    Ok(executor.wait(&attempt("a")).await?.ending)
}

/// A host never hangs.
async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), answer).await.expect("the host answers")
}

/// What this process has in use.
#[derive(Debug)]
struct Burden {
    descriptors: usize,
    memory_kb: usize,
}

impl Burden {
    fn now() -> Self {
        let descriptors = fs::read_dir("/proc/self/fd").expect("this runs on Linux").count();
        let status = fs::read_to_string("/proc/self/status").expect("this runs on Linux");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|memory| memory.trim().strip_suffix(" kB")?.parse().ok());
        Self { descriptors, memory_kb: memory.expect("it says how much is resident") }
    }
}
