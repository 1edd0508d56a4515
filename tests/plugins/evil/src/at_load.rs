//! What happens before anybody can say what should: while the library is loaded, and while it describes
//! itself. Chosen by a text in the file that a test replaces.
#![expect(unsafe_code, reason = "a constructor, and the things that one can do wrong in it")]

use std::{borrow::Cow, ptr, thread, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{Config, crash};

const KEY: usize = "EVIL_LOAD=".len();

/// One of `none exit segv hang print slow panic open lax bad-schema remote-ref`, filled up with `-`.
#[used]
static EVIL_LOAD: [u8; 20] = *b"EVIL_LOAD=none------";

#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

fn chosen() -> String {
    // SAFETY: a static of this type. Volatile, because the compiler knows what it was built with.
    let text = unsafe { ptr::read_volatile(&raw const EVIL_LOAD) };
    String::from_utf8_lossy(&text[KEY..]).trim_end_matches('-').to_owned()
}

#[expect(clippy::print_stdout, reason = "as asked")]
extern "C" fn at_load() {
    match chosen().as_str() {
        "exit" => crash::exit(42),
        "segv" => crash::null(),
        "hang" => loop {
            thread::park();
        },
        "print" => println!("evil was loaded"),
        _ => {}
    }
}

/// Whether settings that make no sense are taken for none.
pub(crate) fn is_lax() -> bool {
    chosen() == "lax"
}

/// The schema of the configuration, or what it is told to be instead: all that `describe` runs of an
/// author's code.
pub(crate) struct Described;

impl Described {
    #[expect(clippy::disallowed_methods, reason = "slow, as asked")]
    pub(crate) fn schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Config::json_schema(generator);
        match chosen().as_str() {
            "slow" => thread::sleep(Duration::from_millis(200)),
            "panic" => panic!("asked to panic in describe"),
            "open" => drop(schema.remove("additionalProperties")),
            "bad-schema" => return json_schema!({ "$ref": "#/$defs/nowhere" }),
            "remote-ref" => return json_schema!({ "$ref": "https://example.com/schema.json" }),
            _ => {}
        }
        schema
    }

    pub(crate) fn name() -> Cow<'static, str> {
        "Settings".into()
    }
}
