//! Plugins in processes of their own.
mod channel;
mod frame;
mod payload;
