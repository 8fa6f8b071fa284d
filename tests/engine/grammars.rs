//! Answers under grammars: whatever ends by itself is what the grammar says.

use ajar::chat::grammar::{Grammar, read as read_grammar, read_regex};
use ajar::chat::reply::FinishReason;
use ajar::chat::request::{ChatRequest, ResponseFormat, Role, Sampling};
use ajar::dispatch::local::Engine;
use futures_util::{StreamExt, stream};
use regex::Regex;

use crate::{assert_all_is_free, engine, job, message, read, size};

/// How many answers; `AJAR_GRAMMAR_ANSWERS=210` for a thorough run.
const ANSWERS: usize = 24;
/// Cap on each answer in tokens.
const CAP: u32 = 80;

/// Grammars, each with a regular expression that says the same.
const REGULAR: [(&str, &str); 5] = [
    ("root ::= \"yes\" | \"no\" | \"perhaps\"", "^(yes|no|perhaps)$"),
    (
        "root ::= day \".\" month \".\" [12] [0-9]{3}\nday ::= \"0\" [1-9] | [12] [0-9] | \"3\" [01]\n\
         month ::= \"0\" [1-9] | \"1\" [0-2]",
        "^(0[1-9]|[12][0-9]|3[01])[.](0[1-9]|1[0-2])[.][12][0-9]{3}$",
    ),
    ("root ::= (\"- \" [^\\n]{1,30} \"\\n\"){1,3} \"end\"", "^(- [^\\n]{1,30}\\n){1,3}end$"),
    ("root ::= word (\", \" word){0,4} \".\"\nword ::= [a-zäöü]{2,12}", "^[a-zäöü]{2,12}(, [a-zäöü]{2,12}){0,4}[.]$"),
    ("root ::= \"🦀\" . [^a-z]{3} (\"é\" | \"漢字\")", "^🦀(?s:.)[^a-z]{3}(é|漢字)$"),
];

/// Regular expressions, as `regex` reads them as well: it must find the whole answer.
const EXPRESSIONS: [&str; 4] = [
    r"(\+49|0)[1-9]\d{1,4}(-| )\d{4,8}",
    r"^[A-Z][a-zäöü]{2,9}(, [a-z]{1,9}){0,3}[.!?]$",
    r"<(b|i)>[^<>\n]{1,40}</(b|i)>|\w+@\w+\.(com|org)",
    r"(?s:.)[\p{Greek}\s]{3,6}(?:漢字|🦀){1,2}",
];

/// JSON that leads back to itself: lists of lists, and objects with texts in them.
const RECURSIVE: [&str; 2] = [
    "root ::= list\nlist ::= \"[\" (item (\", \" item){0,2})? \"]\"\nitem ::= list | [1-9] [0-9]{0,2} | \"0\"",
    "root ::= object\nobject ::= \"{\" member (\", \" member){0,2} \"}\"\nmember ::= text \": \" (text | object)\n\
     text ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"\\\\n]){0,24} \"\\\"\"",
];

const GRAMMARS: usize = REGULAR.len() + EXPRESSIONS.len() + RECURSIVE.len();

/// A grammar, how it is written, and the regular expression that says the same, if there is one.
fn form(number: usize) -> (Grammar, &'static str, Option<Regex>) {
    let regex = |text: &str| Some(Regex::new(text).unwrap());
    let expressions = REGULAR.len();
    let recursive = expressions + EXPRESSIONS.len();
    match number % GRAMMARS {
        which if which < expressions => {
            let (text, same) = REGULAR[which];
            (read_grammar(text).unwrap(), text, regex(same))
        }
        which if which < recursive => {
            let text = EXPRESSIONS[which - expressions];
            // Here classes are those of ASCII.
            let ascii = text.replace(r"\d", "[0-9]").replace(r"\w", "[0-9A-Za-z_]").replace(r"\s", r" \t\n\r\x0b\x0c");
            (read_regex(text).unwrap(), text, regex(&format!("^(?:{ascii})$")))
        }
        which => (read_grammar(RECURSIVE[which - recursive]).unwrap(), RECURSIVE[which - recursive], None),
    }
}

/// How an answer under the grammar of this number ended.
async fn ask(engine: &Engine, number: usize) -> Option<FinishReason> {
    let (grammar, text, regular) = form(number);
    let request = ChatRequest {
        messages: vec![message(Role::User, "Tell me about the weather, at length.")],
        response_format: ResponseFormat::Grammar(grammar),
        sampling: Sampling {
            temperature: Some(1.5),
            top_p: Some(1.0),
            seed: Some(number as i64),
            ..Sampling::default()
        },
        ..ChatRequest::default()
    };
    let (said, finish) = read(engine.generate(job("a", request, CAP)).unwrap(), usize::MAX).await;
    if finish == Some(FinishReason::Stop) {
        let fits = match regular {
            Some(expression) => expression.is_match(&said),
            None => serde_json::from_str::<serde_json::Value>(&said)
                .is_ok_and(|value| value.is_array() || value.is_object()),
        };
        assert!(fits, "{said:?} under {text}");
    }
    finish
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_by_itself_is_what_its_grammar_says() {
    let answers = size("AJAR_GRAMMAR_ANSWERS", ANSWERS);
    let engine = engine(16 << 20).await;
    let all = stream::iter(0..answers).map(|number| ask(&engine, number));
    let ends: Vec<_> = all.buffer_unordered(8).collect().await;
    let count = |reason| ends.iter().filter(|finish| **finish == Some(reason)).count();
    let (stopped, cut) = (count(FinishReason::Stop), count(FinishReason::Length));
    println!(
        "{answers} answers under {GRAMMARS} grammars: {stopped} ended by themselves and fit, {cut} were cut at {CAP} tokens"
    );
    assert_eq!(stopped + cut, answers);
    assert!(stopped * 3 > answers * 2, "most end by themselves");
    assert_all_is_free(&engine).await;
}
