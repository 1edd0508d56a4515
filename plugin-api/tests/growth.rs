//! What may be added to the ABI within 1.x: an old plugin does not have it, so there must be something to
//! do instead. The compiler takes a method without a default, and a new host would call into nothing.

/// The methods behind the last prefix field of the ABI's traits that have no body.
fn without_default(source: &str) -> Vec<String> {
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let code: Vec<_> = source.lines().filter(|line| !is_comment(line)).collect();
    let code = code.join("\n");
    let traits = code.split("#[sabi_trait]").skip(1).map(|it| it.split("\n}").next().unwrap_or(it));
    let added = traits.flat_map(|it| {
        let (_, last) = it.split_once("#[sabi(last_prefix_field)]").expect("each trait has one");
        // The first is the one that the attribute is about.
        last.split("fn ").skip(2)
    });
    // What ends its signature: the semicolon of a declaration, or the brace of a body.
    let bare = added.filter(|method| method.chars().find(|c| matches!(c, ';' | '{')) == Some(';'));
    bare.filter_map(|method| method.split('(').next().map(str::to_owned)).collect()
}

#[test]
fn a_method_added_later_must_have_a_default() {
    let source = include_str!("../src/abi.rs");
    assert_eq!(without_default(source), [""; 0]);

    let last = "fn call(&self, verb: RStr<'_>, payload: RString) -> FfiFuture<Answer>;";
    assert!(source.contains(last), "the last method of 1.0");
    let with = |added: &str| without_default(&source.replace(last, &format!("{last}\n{added}")));
    assert_eq!(with("fn more(&self) -> u32;"), ["more"]);
    assert_eq!(with("fn more(&self) -> u32 {\n 0\n }"), [""; 0]);
    assert_eq!(with("fn fine(&self) {\n }\n/// Not so; this: {\nfn more(&self);"), ["more"]);
}
