use llguidance::toktrie::ApproximateTokEnv;
use proptest::prelude::*;
use regex::Regex;

use super::super::{Form, Forms};
use super::rules;
use crate::chat::grammar::read;
use crate::dispatch::local::model::Token;

/// JSON, without numbers' fractions.
const JSON: &str = r#"
root   ::= value
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array  ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x00-\x1F\x7F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ws
ws     ::= [ \n]{0,3}
"#;

/// Texts that begin and end alike.
const MIRRORED: &str = "root ::= \"a\" root \"a\" | \"b\" root \"b\" | \"-\"";

fn form(grammar: &str) -> Form {
    let lark = rules(&read(grammar).unwrap(), "start");
    Forms::new(&ApproximateTokEnv::single_byte_env()).unwrap().lark(lark.clone()).unwrap_or_else(|_| panic!("{lark}"))
}

/// Whether the grammar lets through `text`, and the answer may end there.
fn takes(grammar: &str, text: &str) -> bool {
    let mut form = form(grammar);
    let is_let_through = |byte: u8| {
        let allowed = !form.is_complete() && form.allowed().unwrap().is_allowed(u32::from(byte));
        allowed && form.accept(Token::from(byte)).is_ok()
    };
    text.bytes().all(is_let_through) && (form.is_complete() || form.may_end())
}

#[test]
fn a_text_is_taken_that_the_grammar_says_and_no_other() {
    for (grammar, right, wrong) in [
        ("root ::= \"yes\" | \"no\"", &["yes", "no"][..], &["", "y", "nope", "yesno"][..]),
        ("root ::= \"\\\"\\n/\" [\\]/^-] . \"é\"?", &["\"\n/]x", "\"\n/-\né"], &["\"\n/ax", "\"\n/^"]),
        ("root ::= [^a-c\\x2f]", &["d", "\n", "é", "🦀"], &["a", "/", "dd"]),
        ("root ::= [a-c]+ \"b\" [0-9]{2,3}", &["ab12", "abcb123", "bbb00"], &["b12", "ab1", "aa12", "ab1234"]),
        ("root ::= \"a\"? ws \"b\"\nws ::= [ ]*", &["b", "a b", "ab", "  b"], &["a", " a b"]),
        // What comes back to itself at an end repeats; what does in the middle does not.
        ("root ::= [0-9] | [0-9] root", &["1", "123"], &["", "1a"]),
        ("root ::= root \"+\" [0-9] | [0-9]", &["1", "1+2+3"], &["+", "1+", "12"]),
        ("root ::= \"\" | \"a\" root", &["", "aaa"], &["b"]),
        (MIRRORED, &["-", "a-a", "ab-ba"], &["a-b", "ab-ab", "a-", ""]),
        ("root ::= a\na ::= \"x\" b | \"x\"\nb ::= \"y\" a | \"y\"", &["x", "xy", "xyxyx"], &["y", "xx", "xyy"]),
        ("root ::= (root \"x\")? \"y\" | \"z\"", &["z", "y", "yxy", "zxyxy"], &["x", "yx", "zz"]),
    ] {
        for text in right {
            assert!(takes(grammar, text), "{grammar}: {text}");
        }
        for text in wrong {
            assert!(!takes(grammar, text), "{grammar}: {text}");
        }
    }
}

#[test]
fn what_no_rule_leads_to_costs_nothing_and_what_doubles_at_each_step_is_shared() {
    let doubled: String = (0..40).map(|n| format!("d{n} ::= d{} d{}\n", n + 1, n + 1)).collect();
    let unused = format!("root ::= \"a\"\n{doubled}d40 ::= [a-z]?");
    assert!(takes(&unused, "a"));
    let lark = rules(&read(&format!("root ::= d0\n{doubled}d40 ::= [a-z]?")).unwrap(), "start");
    assert!(lark.len() < 2000, "{lark}");
}

#[test]
fn a_grammar_that_takes_too_much_is_refused_and_does_not_take_for_ever() {
    let began = std::time::Instant::now();
    for body in ["((((([a-z]{2000}){2000}){2000}){2000}){2000})", "(((\"ab\"* [a-z]*)* \"c\"*)* \"d\"*)*"] {
        let lark = rules(&read(&format!("root ::= {body}")).unwrap(), "start");
        let form = Forms::new(&ApproximateTokEnv::single_byte_env()).unwrap().lark(lark);
        // Either is fine: what counts is that it ends.
        if let Ok(mut form) = form {
            let _ = form.allowed();
        }
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_regular_grammar_takes_what_the_same_regular_expression_does(text in "[ab1.-]{0,7}") {
        for (grammar, expression) in [
            ("root ::= [ab]+ \"1\"? (\"-\" | \".\"{2})", "^[ab]+1?(-|[.]{2})$"),
            ("root ::= (\"a\" | \"ab\") (\"b1\" | \"1\") | \"-\"", "^((a|ab)(b1|1)|-)$"),
            ("root ::= word (\"-\" word){0,2}\nword ::= [ab] | [ab] word", "^[ab]+(-[ab]+){0,2}$"),
        ] {
            prop_assert_eq!(takes(grammar, &text), Regex::new(expression).unwrap().is_match(&text), "{}", expression);
        }
    }

    #[test]
    fn whatever_is_let_through_to_its_end_is_what_the_grammar_says(steps in prop::collection::vec(any::<u16>(), 0..200)) {
        let (json, ends) = form(JSON).walk(&steps);
        let read: Result<serde_json::Value, _> = serde_json::from_slice(&json);
        prop_assert!(!ends || read.is_ok(), "{:?}", json);
        let (mirrored, ends) = form(MIRRORED).walk(&steps);
        let reversed: Vec<u8> = mirrored.iter().rev().copied().collect();
        prop_assert!(!ends || (reversed == mirrored && mirrored.contains(&b'-')));
    }

    #[test]
    fn every_json_is_taken(text in "[ a-c\"\\\\é]{0,9}", number in any::<i32>(), deep in 0..4_usize) {
        let value = (0..deep).fold(serde_json::json!([text, number, {}]), |value, _| serde_json::json!({"a": [value, null]}));
        prop_assert!(takes(JSON, &value.to_string()), "{}", value);
    }
}
