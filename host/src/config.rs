//! One TOML file in, typed settings out; or every mistake in it at once.
//!
//! ```text
//!  text ── node ──► tree with positions ── sections, through reader ──► Config
//!                                              │
//!              one declaration of a key        ├──► Mistakes   (`config check`)
//!              gives all of these              ├──► Effective  (`config show`)
//!                                              └──► reference  (docs/configuration.md)
//! ```
//!
//! Always true: a [`Config`] has no mistake in it; every duration that must be positive is; every
//! executor that a job type names is configured; relative paths are made absolute from the file's
//! directory. What it does not know: whether plugins, interpreters, certificates and secrets are
//! there. [`Config::check_plugins`] and [`Config::check_secrets`] say so when it is time.

mod assemble;
mod check;
mod declared;
mod describe;
mod effective;
mod kind;
mod mistake;
mod node;
mod period;
mod reader;
mod reference;
mod secret;
mod section;
mod size;
pub(crate) mod suggest;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

pub use self::{
    declared::Declared,
    describe::{DescribeError, describe},
    effective::{Effective, Origin, Setting},
    mistake::{Mistake, Mistakes, Problem, Source},
    node::Position,
    reference::reference,
    secret::{Secret, SecretError, SecretSource, TokenDigest, TokenSecret},
    section::{
        database::{Database, DatabaseUrl, Synchronous},
        executors::{Deadlines, ExecutorConfig, PluginIsolation, Restart, RunnerLimits},
        jobs::{Defaults, Exclusive, JobType, OnConflict, Priority, Retry},
        limits::Limits,
        log::{Log, LogFormat, LogLevel},
        plugins::Plugins,
        python::Python,
        routing::Routing,
        server::{Server, Tls},
        times::{Leases, Recovery, Shutdown},
        tokens::{Role, Token},
    },
};
use self::{
    node::{Lines, Node},
    reader::{Ledger, Record, Table, join},
    section::jobs::JobTable,
};

/// Names the configuration file, if the command line does not.
pub const ENVIRONMENT_VARIABLE: &str = "LONGSHORE_CONFIG";
/// The configuration file, if nothing names one.
pub const DEFAULT_PATH: &str = "longshore.toml";

/// Everything that an operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// What relative paths start at: the directory of the file.
    pub dir: PathBuf,
    /// Where the host keeps what must survive it. Defaults to `state` beside the file.
    pub state_dir: PathBuf,
    /// Where the host listens and whom it answers.
    pub server: Server,
    /// Where jobs live.
    pub database: Database,
    /// Where executors come from.
    pub plugins: Plugins,
    /// The executors, by name.
    pub executors: BTreeMap<String, ExecutorConfig>,
    /// Which executor gets a job whose type names none.
    pub routing: Routing,
    /// Where decorated functions are found.
    pub python: Python,
    /// What job types get that say nothing else.
    pub defaults: Defaults,
    /// What can be run, by name. What decorators declare is in it after [`Config::with_declared`].
    pub job_types: BTreeMap<String, JobType>,
    /// How long jobs belong to a silent host.
    pub leases: Leases,
    /// What becomes of jobs whose host died.
    pub recovery: Recovery,
    /// How the host stops.
    pub shutdown: Shutdown,
    /// How much a job may carry.
    pub limits: Limits,
    /// Who may talk to the host, besides the admin token in the state directory.
    pub tokens: Vec<Token>,
    /// What the host says about itself.
    pub log: Log,

    tables: BTreeMap<String, JobTable>,
    declared: Option<Declared>,
    record: Record,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has mistakes.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        let unreadable = |at: Option<Position>, message: String, hint: Option<String>| {
            let problem = Problem::Unreadable { message };
            let source = Source::File(path.to_owned());
            Mistakes::of(vec![Mistake { source, at, key: String::new(), problem, hint }])
        };
        let bytes = fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let hint =
                    format!("name the configuration file with --config or {ENVIRONMENT_VARIABLE}");
                unreadable(None, "there is no such file".to_owned(), Some(hint))
            }
            io::ErrorKind::IsADirectory => {
                let hint = format!("name the file in it: {}", path.join(DEFAULT_PATH).display());
                unreadable(None, "this is a directory, not a file".to_owned(), Some(hint))
            }
            _ => unreadable(None, format!("the file cannot be read: {error}"), None),
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let start = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            let at = Lines::of(&start).position(valid);
            let hint = "save the file as UTF-8".to_owned();
            unreadable(Some(at), "the file is not UTF-8 from here on".to_owned(), Some(hint))
        })?;
        Self::from_toml(&text, path)
    }

    /// Reads `text` as if it were the file at `path`: messages name it, and relative paths start at
    /// its directory.
    ///
    /// # Errors
    ///
    /// The text has mistakes.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, Mistakes> {
        let source = Source::File(path.to_owned());
        let entries = Node::from_toml(text).map_err(|errors| {
            let mistake = |(at, message): (Option<Position>, String)| {
                let problem =
                    Problem::Unreadable { message: format!("this is not TOML: {message}") };
                Mistake { source: source.clone(), at, key: String::new(), problem, hint: None }
            };
            Mistakes::of(errors.into_iter().map(mistake).collect())
        })?;
        // Without a current directory a relative path stays relative.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = absolute.parent().unwrap_or_else(|| Path::new("/"));
        let ledger = Ledger::new(source, base);
        let mut config = ledger.document(&entries, Self::read);
        let (mut mistakes, record) = ledger.into_parts();
        config.record = record;
        mistakes.extend(check::open_doors(&config));
        mistakes.extend(check::equal_tokens(&config));
        mistakes.extend(config.assemble());
        Mistakes::check(mistakes)?;
        Ok(config)
    }

    /// Adds the job types that decorators declare. A `[jobs.NAME]` table of the same name keeps the
    /// last word on every key that it names. `python` and `resources` count as one key each.
    ///
    /// # Errors
    ///
    /// What they declare does not fit the file.
    pub fn with_declared(mut self, declared: Declared) -> Result<Self, Mistakes> {
        self.declared = Some(declared);
        let mistakes = self.assemble();
        Mistakes::check(mistakes)?;
        Ok(self)
    }

    /// Compares the plugins that executors name with those that were found.
    ///
    /// # Errors
    ///
    /// An executor names a plugin that is not among them.
    pub fn check_plugins(&self, found: &[&str]) -> Result<(), Mistakes> {
        let missing = self
            .executors
            .iter()
            .filter(|(_, executor)| !found.contains(&executor.plugin.as_str()));
        let mistakes = missing.map(|(name, executor)| {
            let key = format!("{}.plugin", join("executors", name));
            let problem = Problem::Value {
                what: format!("`{key}`"),
                expected: format!("the name of a plugin in {}", self.plugins.dir.display()),
                found: format!("{:?}", executor.plugin),
                suggestion: suggest::closest(&executor.plugin, found.iter().copied())
                    .map(str::to_owned),
            };
            let mut mistake = self.record.mistake(&key, problem);
            mistake.hint = Some(match found {
                [] => "there is no plugin in that directory".to_owned(),
                found => format!("there: {}", found.join(", ")),
            });
            mistake
        });
        Mistakes::check(mistakes.collect())
    }

    /// Reads every token that is kept in a file or an environment variable, and forgets it again.
    ///
    /// # Errors
    ///
    /// One cannot be read, or is too short to be a secret.
    pub fn check_secrets(&self) -> Result<(), Mistakes> {
        let mistakes = self.tokens.iter().filter_map(|token| {
            let error = token.secret.digest().err()?;
            let mut message = format!("token `{}`: {error}", token.name);
            if let Some(source) = std::error::Error::source(&error) {
                message += &format!(": {source}");
            }
            Some(self.record.conflict(&format!("tokens[{}]", token.index), message))
        });
        Mistakes::check(mistakes.collect())
    }

    /// Every setting with its value and where it comes from.
    pub fn effective(&self) -> Effective {
        let of_file =
            self.record.settings.iter().filter(|setting| !setting.key.starts_with("jobs."));
        let of_jobs = self.job_types.values().flat_map(|job| {
            job.shown().into_iter().map(|(key, value)| {
                let origin = self.origin(&job.name, &key);
                Setting { key: format!("{}.{key}", join("jobs", &job.name)), value, origin }
            })
        });
        Effective { settings: of_file.cloned().chain(of_jobs).collect() }
    }

    fn read(table: &Table<'_>) -> Self {
        table.later(&["retention", "scheduler", "schedules", "sources"]);
        let state_dir = table
            .key("state_dir", kind::path::FilePath)
            .means(
                "Directory for what must survive the host: the database, the admin token, the \
                 host's identity.",
            )
            .or_described(table.base().join("state"), "`\"state\"`");
        let executors = table.names("executors");
        Self {
            dir: table.base().to_owned(),
            server: table.section(
                "server",
                "Where the host listens and whom it answers.",
                Server::read,
            ),
            database: table
                .section("database", "Where jobs live.", |table| Database::read(table, &state_dir)),
            plugins: table.section("plugins", "Where executors come from.", Plugins::read),
            executors: table.named(
                "executors",
                "NAME",
                "Where jobs run: a configured instance of a plugin.",
                |table, name| Some(ExecutorConfig::read(table, name)),
            ),
            routing: table.section("routing", "Which executor gets a job.", |table| {
                Routing::read(table, &executors)
            }),
            python: table.section("python", "Where decorated functions are found.", Python::read),
            defaults: table.section(
                "defaults",
                "What job types get that say nothing else.",
                Defaults::read,
            ),
            tables: table.named(
                "jobs",
                "NAME",
                "A job type: what can be run, and how.",
                |table, _| Some(JobTable::read(table, &executors)),
            ),
            leases: table.section("leases", "How long jobs belong to a silent host.", Leases::read),
            recovery: table.section(
                "recovery",
                "What becomes of jobs whose host has died.",
                Recovery::read,
            ),
            shutdown: table.section("shutdown", "How the host stops.", Shutdown::read),
            limits: table.section("limits", "How much a job may carry.", Limits::read),
            tokens: table.each(
                "tokens",
                "Who may talk to the host, besides the admin token that it writes into `state_dir` \
                 at its first start.",
                Token::read,
            ),
            log: table.section("log", "What the host says about itself.", Log::read),
            state_dir,
            job_types: BTreeMap::new(),
            declared: None,
            record: Record::new(Source::File(PathBuf::new())),
        }
    }
}
