//! The memory layout of every released minor is a file here. A change that this test sees is a change
//! of the ABI: legal within 1.x is only what appends (`abi.rs` says how), and then a new minor's file
//! is added and the older ones stay.

use std::{collections::VecDeque, fmt::Write, fs, path::Path};

use abi_stable::{
    StableAbi,
    type_layout::{TLData, TLField, TypeLayout},
};
use longshore_plugin_api::abi::PluginRootRef;

#[test]
fn the_layout_is_that_of_the_release() {
    let released = include_str!("layout-1.0.txt");
    let now = dump(<PluginRootRef as StableAbi>::LAYOUT);
    if now != released {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout.txt");
        fs::write(&file, &now).expect("the target directory is writable");
        let changed = now.lines().zip(released.lines()).find(|(now, released)| now != released);
        panic!("the ABI has changed, first at {changed:?}; all of it is in {}", file.display());
    }
}

/// Every type that is reachable from the root, with its size, alignment, fields and functions.
fn dump(root: &'static TypeLayout) -> String {
    let (mut seen, mut queue, mut out) = (Vec::new(), VecDeque::from([root]), String::new());
    while let Some(layout) = queue.pop_front() {
        // Not by name: instances of one generic type share it.
        let id = layout.get_utypeid();
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        let name = layout.full_type();
        let (size, align, package) = (layout.size(), layout.alignment(), layout.package());
        let mut lines = format!("{name} [{package}] size {size} align {align}\n");
        let fields: Vec<TLField> = match layout.data() {
            TLData::PrefixType(prefix) => {
                let _ = writeln!(lines, "  first suffix field {}", prefix.first_suffix_field);
                prefix.fields.iter().collect()
            }
            TLData::Struct { fields } | TLData::Union { fields } => fields.iter().collect(),
            TLData::Enum(variants) => variants.fields.iter().collect(),
            TLData::Primitive(_) | TLData::Opaque => Vec::new(),
        };
        for field in fields {
            let _ = writeln!(lines, "  {}: {}", field.name(), field.full_type());
            queue.push_back(field.layout());
            for function in field.function_range().iter() {
                let _ = writeln!(lines, "    {}", function.to_string().trim_end());
                let types = function.param_type_layouts.iter().chain(function.return_type_layout());
                queue.extend(types.map(|layout| layout()));
            }
        }
        queue.extend(layout.phantom_fields().iter().map(|field| field.layout()));
        out += &lines;
    }
    out
}
