use super::*;

fn wrong(text: &str) -> String {
    read(text).map(|_| ()).unwrap_err().to_string()
}

fn text(text: &str) -> Expression {
    Expression::Text(text.to_owned())
}

#[test]
fn rules_are_read_as_llama_cpp_writes_them() {
    let grammar = read(
        "# a list\nroot  ::= item (\", \" item)* # and so on\n\nitem ::=\n  [a-z_] [^\\n\\]]? |\n  \"\\x41\\u00e9\\n\\\"\"{2,3}\n  | . ",
    )
    .unwrap();
    let item = || Expression::Rule(1);
    let more = Expression::Sequence(vec![text(", "), item()]);
    let again = Expression::Repeat { item: Box::new(more), least: 0, most: None };
    let small = Expression::Class { ranges: vec!['a'..='z', '_'..='_'], negated: false };
    let other = Expression::Class { ranges: vec!['\n'..='\n', ']'..=']'], negated: true };
    let other = Expression::Repeat { item: Box::new(other), least: 0, most: Some(1) };
    let twice = Expression::Repeat { item: Box::new(text("Aé\n\"")), least: 2, most: Some(3) };
    let any = Expression::Class { ranges: Vec::new(), negated: true };
    assert!(grammar.rules()[0] == Expression::Sequence(vec![item(), again]));
    assert!(grammar.rules()[1] == Expression::Choice(vec![Expression::Sequence(vec![small, other]), twice, any]));
    assert_eq!((grammar.root(), grammar.texts()), (0, vec![", ", "Aé\n\""]));
}

#[test]
fn a_minus_at_the_end_of_a_set_is_one_and_rules_may_be_named_before_they_are_defined() {
    let grammar = read("root ::= last-1\nlast-1 ::= [+-]").unwrap();
    assert!(grammar.rules()[1] == Expression::Class { ranges: vec!['+'..='+', '-'..='-'], negated: false });
}

#[test]
fn a_mistake_is_told_by_its_place_and_quotes_nothing() {
    for (grammar, told) in [
        ("", "line 1, column 1: the rule `root` is missing"),
        ("a ::= \"x\"", "line 1, column 10: the rule `root` is missing"),
        ("root ::= \"x\"\n  b", "line 2, column 4: `::=` must follow the name of a rule"),
        ("root ::= a b\na ::= \"é\"", "line 1, column 12: this rule is nowhere defined"),
        ("root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: this rule is defined twice"),
        ("root ::= (\"a\" | \"b\"\n", "line 1, column 10: this group is not closed"),
        ("root ::= \"é\" \"abc", "line 1, column 14: this text is not closed"),
        ("root ::= [a-", "line 1, column 10: this set of characters is not closed"),
        ("root ::= [z-a]", "line 1, column 14: this range of characters ends before it begins"),
        ("root ::= []", "line 1, column 10: this set holds no character"),
        ("root ::= \"\\q\"", "line 1, column 11: this stands for no character"),
        ("root ::= \"\\ud800\"", "line 1, column 11: this stands for no character"),
        ("root ::= \"\\x4é\"", "line 1, column 11: this stands for no character"),
        ("root ::= \"a\"{2001}", "line 1, column 14: a number of times is one from 0 to 2000"),
        ("root ::= \"a\"{3,2}", "line 1, column 13: this repeats at least as often as not at most"),
        ("root ::= \"a\"{3;}", "line 1, column 15: times to repeat are written as {2}, {2,} or {2,4}"),
        ("root ::= <think>", "line 1, column 10: tokens cannot be named here: write their text"),
        ("root ::= \"a\" )", "line 1, column 14: this is no part of a rule"),
        ("::= \"a\"", "line 1, column 1: a rule begins with its name"),
        ("root ::= \"a\" | b\nb ::= \"x\" b", "line 1, column 16: what this rule says can never end"),
    ] {
        assert_eq!(wrong(grammar), told, "{grammar}");
    }
}

#[test]
fn nothing_that_is_too_large_or_too_deep_is_read() {
    let long = format!("root ::= \"{}\"", "a".repeat(MAX_BYTES));
    assert_eq!(wrong(&long), "line 1, column 1: a grammar has at most 64 KiB");
    let deep = |times: usize| format!("root ::= {}\"a\"{}", "(".repeat(times), ")".repeat(times));
    assert!(read(&deep(MAX_DEPTH)).is_ok());
    assert!(wrong(&deep(MAX_DEPTH + 1)).ends_with("groups may stand in groups at most 64 times"));
    for sign in ["*", "{1}"] {
        let often = |times: usize| format!("root ::= \"a\"{}", sign.repeat(times));
        assert!(read(&often(MAX_DEPTH)).is_ok());
        assert!(wrong(&often(20_000)).ends_with("something is repeated in itself at most 64 times"));
    }
    let many: String = (0..MAX_RULES).map(|n| format!("r{n} ::= \"a\"\n")).collect();
    assert_eq!(wrong(&format!("{many}root ::= r1")), "line 1001, column 1: a grammar has at most 1000 rules");
}

proptest::proptest! {
    #[test]
    fn whatever_is_given_is_read_or_refused(text in "[a-c:=|(){}\\[\\]\"*+?0-9,.\\\\xu<\n #^é-]{0,60}") {
        let _ = read(&format!("root ::= {text}"));
        let _ = read(&text);
    }
}
