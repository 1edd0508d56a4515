//! The `longshore` binary.
#![expect(unsafe_code, reason = "`_exit` has no safe wrapper")]

use std::io::Write as _;

fn main() {
    let code = longshore::cli::main();
    // Nobody may be left to read it.
    let _ = std::io::stdout().flush();
    // Not `exit`: that runs the destructors of every loaded plugin beside that plugin's own threads,
    // which never end by themselves.
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}
