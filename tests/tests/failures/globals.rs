//! globals
