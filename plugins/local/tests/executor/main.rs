//! Promises of the executor, kept through the author's trait by real keepers and jobs.

#[cfg(test)]
mod stage;

#[cfg(test)]
mod commands;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod functions;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod stopping;
