//! The process of one test.
#![expect(unsafe_code, reason = "an end without destructors")]

use std::{ffi::OsStr, path::Path};

use longshore_plugin_api::testkit::{self, Asked};

use crate::{cli::say, plugin};

/// Runs one test and ends the process. Its directory is the only argument.
pub(in crate::cli) fn run(directory: Option<&OsStr>) -> ! {
    let asked = Asked::Library { schema: plugin::schema_mistake };
    let code = match directory.map(|directory| testkit::answer(Path::new(directory), asked)) {
        Some(Ok(())) => 0,
        Some(Err(error)) => {
            say::error_line(format_args!("the test cannot be run: {error}"));
            1
        }
        None => {
            say::error_line("this is how tests are started; see `longshore plugin check --help`");
            2
        }
    };
    // Destructors of statics would run beside the plugin's threads, which are still at work.
    // SAFETY: ends the process; nothing of ours waits to be written.
    unsafe { libc::_exit(code) }
}
