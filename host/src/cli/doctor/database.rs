//! The database: whether it opens and has this host's schema.

use super::{
    finding::{Finding, failed, ok, warn},
    host::Seat,
};
use crate::{
    config::{Config, DatabaseUrl},
    report::Chain,
    store::{Schema, Store, StoreError, Synchronous},
};

const SUBJECT: &str = "database";

pub(super) async fn examine(config: &Config, seat: &Seat) -> Vec<Finding> {
    let DatabaseUrl::Sqlite { path } = &config.database.url;
    let shown = path.display();
    vec![match seat {
        // Only one process opens it, and that is not this one.
        Seat::Answers(_) => ok(SUBJECT, format!("`{shown}`, in use by the host")),
        _ if !path.exists() => ok(SUBJECT, format!("`{shown}` will be made at the first start")),
        Seat::Silent => warn(
            SUBJECT,
            format!("`{shown}` not looked at: a host that does not answer may be using it"),
            "start the host, or end it, and look again",
        ),
        Seat::Free => match Store::open(path, Synchronous::Full, Schema::Verify).await {
            Ok((store, _)) => {
                store.close().await;
                ok(SUBJECT, format!("`{shown}` opens and has this version's schema"))
            }
            Err(error @ StoreError::OlderSchema { .. }) => {
                warn(SUBJECT, error.to_string(), "`longshore serve` does it, too")
            }
            Err(error) => failed(SUBJECT, format!("{:#}", Chain(&error))),
        },
    }]
}
