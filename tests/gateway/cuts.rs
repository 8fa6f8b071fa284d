//! Streams of every provider that are cut at some byte, over real sockets; `dispatch::remote::cuts` cuts recorded ones at every
//! byte.

use ajar::dialect::Dialect;
use serde_json::{Value, json};

use crate::harness::{Gateway, Setup, streamed, with};
use crate::matrix::requests::path;
use crate::sim::{Answer, Break, Fault, Script, Sim};

const CLIENTS: [Dialect; 3] = [Dialect::Chat, Dialect::Responses, Dialect::Messages];
const WIRES: [&str; 4] = ["openai", "openai-responses", "anthropic", "gemini"];
/// How far one cut is from the next, in bytes.
const STEP: usize = 61;

fn script() -> Script {
    Script::answering(Answer::Thought { thought: "hm 語".to_owned(), text: "It is é 😀".to_owned() })
}

fn request(dialect: Dialect) -> Value {
    let asked = match dialect {
        Dialect::Responses => json!({"input": "what is it?"}),
        Dialect::Chat | Dialect::Messages => json!({"messages": [{"role": "user", "content": "what is it?"}]}),
        Dialect::Completions | Dialect::Embeddings | Dialect::Moderations => unreachable!("not asked here"),
    };
    let cap = if dialect == Dialect::Responses { "max_output_tokens" } else { "max_tokens" };
    streamed(with(asked, json!({"model": "far", cap: 100})))
}

async fn ask(gateway: &Gateway, dialect: Dialect) -> (u16, String) {
    let reply = gateway.ask_at(path(dialect), &request(dialect), &[]).await;
    (reply.status, reply.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_anywhere_ends_in_an_error_and_nobody_else_is_asked_after_the_first_word() {
    for wire in WIRES {
        let (far, home) = (Sim::start(script()), Sim::start(Script::text("home")));
        let setup = Setup::new().policy("gpt-4o-mini", if wire == "anthropic" { "claude-sonnet-4-6" } else { "m" });
        let gateway = setup.provider_speaking("far", &far, wire).provider("home", &home).start().await;
        for dialect in CLIENTS {
            cut_everywhere(&gateway, &far, &home, dialect, wire).await;
        }
    }
}

async fn cut_everywhere(gateway: &Gateway, far: &Sim, home: &Sim, dialect: Dialect, wire: &str) {
    far.set_script(script());
    let (status, whole) = ask(gateway, dialect).await;
    assert!(status == 200 && whole.contains('😀'), "{wire} {dialect:?}: {whole}");
    let mut broken = 0;
    for cut in (0..6_000).step_by(STEP) {
        let what = format!("{wire} {dialect:?} {cut}");
        // A provider that only fails would be left alone.
        far.set_script(script());
        assert_eq!(ask(gateway, dialect).await.0, 200, "{what}");
        let how = if cut % 2 == 0 { Break::Fin } else { Break::Reset };
        far.set_script(script().fault(Fault::CutAt { bytes: cut, how }));
        let asked = (far.counts().requests, home.counts().requests);
        let (status, told) = ask(gateway, dialect).await;
        assert_eq!(status, 200, "{what}: {told}");
        assert!(!told.contains('\u{fffd}'), "{what}: {told}");
        let others = home.counts().requests - asked.1;
        if told.contains("home") {
            assert_eq!(others, 1, "{what}");
            continue;
        }
        assert_eq!((far.counts().requests - asked.0, others), (1, 0), "{what}: after the first word nobody is asked");
        if !told.contains("the answer broke off") {
            assert!(ended(dialect, &told), "{what}: {told}");
            break;
        }
        assert!(!ended(dialect, &told), "{what}: an end was invented: {told}");
        broken += 1;
    }
    assert!(broken > 2, "{wire} {dialect:?}: {broken}");
}

fn ended(dialect: Dialect, text: &str) -> bool {
    match dialect {
        Dialect::Chat => text.ends_with("data: [DONE]\n\n"),
        Dialect::Responses => text.contains("event: response.completed\n"),
        Dialect::Messages => text.contains("event: message_stop\n"),
        Dialect::Completions | Dialect::Embeddings | Dialect::Moderations => unreachable!("not asked here"),
    }
}
