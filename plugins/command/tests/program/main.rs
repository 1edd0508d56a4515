//! Programs that misbehave, behind the plugin: each is a shell script of a few words.

#[cfg(test)]
mod once;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod stage;
