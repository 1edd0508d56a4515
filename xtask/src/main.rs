//! The project's own chores: `cargo xtask demo`, `test`, `soak`, `bench`, `docs`.

#![expect(clippy::print_stdout, reason = "a chore talks to the person who runs it")]

mod bench;
mod build;
mod demo;
mod docs;
mod run;
mod soak;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask CHORE

  demo    build everything, start a host on embedded SQLite, score real traces, show the results
  test    everything that must hold before a change lands; `test NAME` runs one of its steps
  soak    10,000 jobs, good and evil, while 200 times the process of an executor is killed
  bench   the table of numbers: ratios measured in one run
  docs    regenerate the documentation that is made from the code
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["demo"] => demo::demo(),
        ["test", names @ ..] => test::test(names),
        ["soak"] => soak::soak(),
        ["bench", names @ ..] => bench::bench(names),
        ["docs"] => docs::docs(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("unknown chore `{}`\n\n{HELP}", other.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
