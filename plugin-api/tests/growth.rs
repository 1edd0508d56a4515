//! What is added to the ABI within 1.x is added so that older plugins lack it without harm: a method
//! behind the last one of 1.0 has a default body. Without one a newer host would end at the first call of
//! an older plugin, and no comparison of layouts says so: it is a matter of the source.

const ABI: &str = include_str!("../src/abi.rs");

/// The last method of each trait as it was released: what comes behind it was added since.
const MARK: &str = "#[sabi(last_prefix_field)]";

/// The methods of 1.0's traits that were added since, without a default body; and traits that do not say
/// where they ended.
fn mistakes(source: &str) -> Vec<String> {
    let code: Vec<&str> =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut mistakes = Vec::new();
    // Up to the brace in the first column, which is where rustfmt puts the trait's own.
    for text in code.split("#[sabi_trait]").skip(1) {
        let text = text.split("\n}").next().unwrap_or_default();
        let name = text.split("trait ").nth(1).and_then(|rest| rest.split([':', ' ', '{']).next());
        let name = name.unwrap_or_default();
        let Some((_, added)) = text.split_once(MARK) else {
            mistakes.push(format!("{name} does not say which method is the last of 1.0"));
            continue;
        };
        // The first is the marked one itself.
        for method in added.split("fn ").skip(2) {
            let end = method.find([';', '{']);
            if end.is_none_or(|end| method[end..].starts_with(';')) {
                let method = method.split('(').next().unwrap_or_default();
                mistakes.push(format!("{name}::{method} has no default body"));
            }
        }
    }
    mistakes
}

#[test]
fn what_was_added_since_1_0_can_be_missing() {
    assert_eq!(ABI.matches("#[sabi_trait]").count(), 2, "a trait that this test does not know");
    assert_eq!(mistakes(ABI), Vec::<String>::new());
}

#[test]
fn a_method_without_a_default_is_found() {
    let last = "fn call(&self, verb: RStr<'_>, payload: RString) -> FfiFuture<Answer>;";
    assert_eq!(ABI.matches(last).count(), 1);
    let with = |added: &str| mistakes(&ABI.replace(last, &format!("{last}\n\n    {added}")));
    assert_eq!(with("/// More.\n    fn more(&self) -> u32 {\n        11\n    }"), [""; 0]);
    let bad = ["Executor::more has no default body"];
    assert_eq!(with("fn more(&self) -> u32;"), bad);
    assert_eq!(with("fn good(&self) {}\n\n    fn more(&self, all: RString) -> u32;"), bad);
    let unmarked = ABI.replace(MARK, "");
    assert_eq!(mistakes(&unmarked).len(), 2, "{:?}", mistakes(&unmarked));
}

#[test]
fn a_field_behind_the_last_of_1_0_may_be_missing() {
    // Accessors of what may be missing answer with an `Option`; without this they would panic.
    let (before, _) = ABI.split_once("pub struct PluginRoot {").expect("the root is there");
    assert!(before.trim_end().ends_with("#[sabi(missing_field(option))]"), "{before}");
}
