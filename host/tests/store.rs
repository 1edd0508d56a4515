//! The promises of the store, through its production statements.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails here")]

#[path = "store/claims.rs"]
mod claims;
#[path = "store/crashes.rs"]
mod crashes;
#[path = "store/locks.rs"]
mod locks;
#[path = "store/matrix.rs"]
mod matrix;
#[path = "store/trouble.rs"]
mod trouble;
#[path = "store/world.rs"]
mod world;
