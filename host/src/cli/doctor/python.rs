//! Python, where decorated functions are read with it.

use super::finding::{Finding, failed, ok};
use crate::{
    config::{self, Config},
    report::Chain,
    sdk,
};

const SUBJECT: &str = "python";

/// Asks what the modules declare, as the host does at its start. The interpreter of the jobs is the
/// executor's matter.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let python = &config.python;
    if python.modules.is_empty() {
        return Vec::new();
    }
    let described = async {
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let sdk = sdk::unpack(scratch.path()).map_err(|error| error.to_string())?;
        let declared =
            config::describe(python, &sdk).await.map_err(|e| format!("{:#}", Chain(&e)))?;
        let names: Vec<_> = declared.names().map(|name| format!("`{name}`")).collect();
        config.clone().with_declared(declared).map_err(|mistakes| mistakes.to_string())?;
        Ok::<_, String>(names.join(", "))
    };
    vec![match described.await {
        Ok(names) if names.is_empty() => ok(
            SUBJECT,
            format!("`{}` imports the modules; they declare no job type", python.interpreter),
        ),
        Ok(names) => ok(SUBJECT, format!("`{}` finds the job types {names}", python.interpreter)),
        Err(message) => failed(SUBJECT, message),
    }]
}
