//! Clients that leave, at every moment of a call, whatever they and the provider speak.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Gateway, Setup, eventually, user, with};
use crate::sim::{Answer, Fault, Script, Sim};

/// How soon the provider's connection is closed once the client has left, in nine of ten cases.
const SOON: Duration = Duration::from_millis(100);
/// And in all of them, on a busy machine.
const AT_LAST: Duration = Duration::from_secs(1);

const BUDGET: &str = "budgets:\n  - { id: day, per: key, window: day, limit: 10 USD, \
    ladder: [{ at: 1.00, only: 'dest.boundary == \"host\"' }] }\n";
const WORD: &str = "word";

/// When a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The provider has the request and says nothing.
    BeforeTheHead,
    /// The provider only says that it is alive.
    BeforeTheFirstToken,
    InTheMiddle,
    /// Half of an answer that is no stream has come.
    InAWholeAnswer,
    /// The provider asked to be tried again in a moment.
    BetweenAttempts,
}

const MOMENTS: [Moment; 5] = [
    Moment::BeforeTheHead,
    Moment::BeforeTheFirstToken,
    Moment::InTheMiddle,
    Moment::InAWholeAnswer,
    Moment::BetweenAttempts,
];

impl Moment {
    fn script(self) -> Script {
        let script = Script::answering(Answer::Text(format!("{WORD} ").repeat(60)));
        script.fault(match self {
            Self::BeforeTheHead => Fault::HangBeforeHeaders,
            Self::BeforeTheFirstToken => Fault::Pings { after: 0, every: Duration::from_millis(5) },
            Self::InTheMiddle => Fault::HangMidStream { after: 20 },
            Self::InAWholeAnswer => Fault::HangMidStream { after: 1 },
            Self::BetweenAttempts => Fault::Status { status: 503, retry_after: Some(Duration::from_secs(4)) },
        })
    }

    /// A request with nothing but what the moment needs; one that may be answered from the cache runs in a task of its own.
    fn body(self, path: &str, cached: bool) -> Value {
        let fields = json!({"model": "auto", "stream": self != Self::InAWholeAnswer, "temperature": u8::from(!cached)});
        match path {
            "/v1/responses" => with(fields, json!({"input": "hello", "max_output_tokens": 50})),
            _ => with(with(user("hello"), fields), json!({"max_tokens": 50})),
        }
    }
}

/// Asks, leaves, and returns when the client left.
async fn leave(moment: Moment, path: &str, cached: bool, far: &Sim, gateway: &Gateway) -> Instant {
    let (before, body) = (far.counts().requests, moment.body(path, cached).to_string());
    if moment == Moment::InTheMiddle {
        let mut answer = gateway.open_at(path, body, &[]).await;
        let mut said = String::new();
        while !said.contains(WORD) {
            let chunk = answer.chunk().await.unwrap().expect("the stream goes on");
            said += std::str::from_utf8(&chunk).unwrap();
        }
    } else {
        let there = async {
            assert!(far.until(|counts| counts.requests > before).await);
            if moment == Moment::BetweenAttempts {
                eventually("the pause is known", async || is_resting(gateway).await).await;
            }
        };
        tokio::select! {
            _ = gateway.open_at(path, body, &[]) => panic!("{moment:?} {path}: answered"),
            () = there => {}
        }
    }
    Instant::now()
}

async fn is_resting(gateway: &Gateway) -> bool {
    gateway.get(gateway.operator("/readyz")).await.json()["destinations"][0]["unavailable"] == "rate_limited"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_at_any_moment_stops_the_provider_pays_what_came_and_leaves_one_record() {
    let mut took = Vec::new();
    for wire in ["openai", "openai-responses", "anthropic", "gemini"] {
        for moment in MOMENTS {
            let far = Sim::start(moment.script());
            let setup = Setup::new().policy("[far, home]", "[far]").policy_tail(BUDGET);
            let gateway = setup.provider_speaking("far", &far, wire).provider("home", &far).start().await;
            let mut spent = 0.0;
            let paths = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];
            for (n, (path, cached)) in paths.into_iter().flat_map(|path| [(path, true), (path, false)]).enumerate() {
                let shown = format!("{path} before {wire}, {moment:?}, cached: {cached}");
                // A pause is granted before the next is asked.
                far.set_script(moment.script());
                let left = leave(moment, path, cached, &far, &gateway).await;
                if moment != Moment::BetweenAttempts {
                    let gone = far.until(|counts| counts.in_flight == 0 && counts.open_connections == 0).await;
                    assert!(gone, "{shown}: still connected");
                    took.push(left.elapsed());
                }
                let row = gateway.rows(n + 1).await.pop().unwrap();
                assert_eq!((row.outcome.name(), row.status, row.attempts), ("hung_up", 499, 1), "{shown}");
                let cost = row.cost.map_or(0.0, |cost| cost.0 as f64 / 1e6);
                match moment {
                    Moment::BetweenAttempts => assert_eq!(row.cost, None, "{shown}: what was refused cost nothing"),
                    _ => assert!(cost > 0.0 && row.usage_estimated, "{shown}: {row:#?}"),
                }
                if moment == Moment::InTheMiddle {
                    assert!(row.output_tokens > Some(0) && row.output_tokens < Some(50), "{shown}: {row:#?}");
                }
                spent += cost;
                let used = gateway.used("day", 10.0);
                assert!((used - spent).abs() < 1e-9, "{shown}: {used} are held of {spent} that were spent");
                if moment == Moment::BetweenAttempts {
                    assert_eq!(far.counts().requests, 1, "{shown}");
                    break;
                }
            }
        }
    }
    took.sort();
    let (most, last) = (took[took.len() * 9 / 10], took[took.len() - 1]);
    assert!(most < SOON && last < AT_LAST, "{took:?}");
}
