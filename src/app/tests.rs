//! A whole gateway over real sockets with an embedded engine whose steps end when the test says so.
#![expect(clippy::disallowed_types, reason = "the tests' own client is no door of the gateway")]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::chat::Priority;
use crate::dispatch::local::watched;
use crate::record::Row;

#[path = "../../examples/provider_sim/sim.rs"]
mod sim;

use self::sim::{Script, Sim};

/// A step that waits for no permit is done long before.
const BOUND: Duration = Duration::from_millis(150);
/// How long anything may take that should happen at once, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const POLICY: &str = r#"
ajar: policy/v1
name: test
authority: base
classes: [public, restricted]
sealed: [restricted]
default_class: public
attributes:
  client.label: { one_of: [none, restricted], default: none }
classify:
  - { id: client, raise: restricted, when: 'client.label == "restricted"' }
destinations:
  home: { via: embedded, model: scripted, boundary: host }
  far:  { via: far, model: gpt-4o-mini, boundary: external, region: us, accepts: public, price: { input: 1, output: 2 } }
routes:
  - { id: all, order: 900, candidates: [home, far] }
"#;

/// Who may answer.
#[derive(Clone, Copy)]
enum May {
    /// Anybody.
    Go,
    /// The engine alone.
    Stay,
}

impl May {
    /// What is asked; the one who must not see it can be searched for it.
    fn text(self) -> &'static str {
        match self {
            Self::Go => "ours",
            Self::Stay => "mine",
        }
    }
}

/// The same question in each dialect that the engine answers.
fn questions(may: May) -> [(&'static str, Value); 4] {
    let (text, messages) = (may.text(), json!([{ "role": "user", "content": may.text() }]));
    [
        ("/v1/chat/completions", json!({ "model": "auto", "max_tokens": 4, "messages": messages })),
        ("/v1/messages", json!({ "model": "auto", "max_tokens": 4, "messages": messages })),
        ("/v1/responses", json!({ "model": "auto", "max_output_tokens": 4, "input": text })),
        ("/v1/completions", json!({ "model": "auto", "max_tokens": 4, "prompt": text })),
    ]
}

struct Reply {
    status: u16,
    served_by: String,
    retry_after: Option<u64>,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The code of a failure, in the shape of whichever dialect.
    fn code(&self) -> String {
        let error = &self.json()["error"];
        error["code"].as_str().or(error["details"]["error_code"].as_str()).unwrap_or_default().to_owned()
    }

    fn is_stuck(&self) -> bool {
        self.status == 503 && self.code() == "local_stuck" && self.retry_after.is_some_and(|seconds| seconds > 0)
    }
}

struct Rig {
    running: Running,
    far: Sim,
    client: reqwest::Client,
    folder: TempDir,
}

/// A gateway whose engine takes a step for each of `permits`.
async fn rig(permits: mpsc::Receiver<()>) -> Rig {
    let (far, folder) = (Sim::start(Script::text("closed")), tempfile::tempdir().unwrap());
    let at = folder.path();
    std::fs::create_dir(at.join("policies")).unwrap();
    std::fs::write(at.join("policies/policy.yaml"), POLICY).unwrap();
    std::fs::write(at.join("scripted.gguf"), "nobody reads it").unwrap();
    let config = format!(
        "server: {{ listen: \"127.0.0.1:0\", operator: \"127.0.0.1:0\" }}\n\
         policies: {at}/policies\n\
         anonymous: {{ allow: loopback }}\n\
         headers: {{ client.label: x-ajar-label }}\n\
         record: {{ store: sqlite, path: {at}/ajar.db, commit_interval: 10ms }}\n\
         providers:\n  far: {{ dialect: openai, base_url: \"{}\" }}\n\
         local:\n  scripted: {{ model: {at}/scripted.gguf, context: 64, sequences: 2 }}\n",
        far.base_url(),
        at = at.display(),
    );
    std::fs::write(at.join("ajar.yaml"), config).unwrap();
    let config = Config::load(&at.join("ajar.yaml"), &Vec::new()).unwrap_or_else(|problems| panic!("{problems}"));
    let permits = std::sync::Mutex::new(Some(permits));
    let load = move |_| watched(permits.lock().unwrap().take().expect("one engine is configured"), BOUND);
    let running = start_with(config, load).await.unwrap_or_else(|error| panic!("{error}"));
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    Rig { running, far, client, folder }
}

impl Rig {
    async fn ask(&self, may: May, (path, body): &(&str, Value)) -> Reply {
        let url = format!("http://{}{path}", self.running.data);
        let label = if matches!(may, May::Stay) { "restricted" } else { "none" };
        let request = self.client.post(url).header("x-ajar-label", label).body(body.to_string());
        let response = request.send().await.expect("the gateway answers");
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (served_by, retry_after) = (header("x-ajar-served-by").unwrap_or_default(), header("retry-after"));
        let (status, retry_after) = (response.status().as_u16(), retry_after.map(|seconds| seconds.parse().unwrap()));
        Reply { status, served_by, retry_after, text: response.text().await.expect("the answer ends") }
    }

    async fn operator(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("http://{}{path}", self.running.operator)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// How many requests the provider was sent.
    fn sent(&self) -> u64 {
        self.far.counts().requests
    }

    /// Whether operators are told that the engine is in this state, and why `home` is not asked.
    async fn tells(&self, state: &str, unavailable: Value) -> bool {
        let (status, ready) = self.operator("/readyz").await;
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let metric = format!("ajar_local_state{{engine=\"scripted\",state=\"{state}\"}} 1");
        let home = ready["destinations"].as_array().unwrap().iter().find(|d| d["name"] == "home").unwrap();
        (status, &ready["engines"][0]["state"]) == (200, &json!(state))
            && home["unavailable"] == unavailable
            && self.operator("/metrics").await.1.contains(&metric)
    }

    /// The rows, oldest first, once there are `n`.
    async fn rows(&self, n: usize) -> Vec<Row> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.running.gateway.recorder.as_ref().unwrap().flush().await;
            let mut records = Records::open(&self.folder.path().join("ajar.db")).await.unwrap();
            let rows: Vec<_> = records.tail(1000).await.unwrap().into_iter().map(|entry| entry.row).collect();
            if rows.len() == n {
                return rows;
            }
            assert!(Instant::now() < deadline, "{rows:#?}");
        }
    }
}

fn streamed((path, mut body): (&'static str, Value)) -> (&'static str, Value) {
    body["stream"] = true.into();
    (path, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_engine_is_routed_around_and_chosen_again_once_its_step_has_ended() {
    let (permit, permits) = mpsc::channel();
    let rig = rig(permits).await;
    let ([ours, ..], [mine, ..]) = (questions(May::Go), questions(May::Stay));
    let (gone, kept) = tokio::join!(rig.ask(May::Go, &ours), rig.ask(May::Stay, &mine));
    assert_eq!((gone.status, gone.served_by.as_str()), (200, "far"), "{}", gone.text);
    assert!(kept.is_stuck(), "{}: {:?} {}", kept.status, kept.retry_after, kept.text);
    assert!(rig.tells("stuck", json!("model_stuck")).await);
    assert_eq!(rig.sent(), 1);

    // No permit is given: whoever waited for the engine would get no answer here.
    for question in questions(May::Go).into_iter().flat_map(|question| [question.clone(), streamed(question)]) {
        let gone = rig.ask(May::Go, &question).await;
        assert_eq!((gone.status, gone.served_by.as_str()), (200, "far"), "{question:?}: {}", gone.text);
    }
    for question in questions(May::Stay).into_iter().flat_map(|question| [question.clone(), streamed(question)]) {
        let kept = rig.ask(May::Stay, &question).await;
        assert!(kept.is_stuck(), "{question:?}: {} {:?} {}", kept.status, kept.retry_after, kept.text);
    }
    assert_eq!((rig.sent(), rig.far.saw("mine")), (9, false));
    let rows = rig.rows(18).await;
    let attempts: Vec<_> = rows.iter().map(|row| row.attempts).collect();
    assert_eq!(attempts[2..], [[1; 8], [0; 8]].concat());
    let reasons = rows.iter().filter(|row| row.status == 503).map(|row| row.reason.as_deref());
    assert!(reasons.eq([Some("local_stuck"); 9]), "{rows:#?}");

    drop(permit);
    let deadline = Instant::now() + PATIENCE;
    while !rig.tells("ready", Value::Null).await {
        assert!(Instant::now() < deadline, "{}", rig.operator("/readyz").await.1);
    }
    for (may, question) in [(May::Go, ours), (May::Stay, mine)] {
        let answer = rig.ask(may, &question).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "home"), "{}", answer.text);
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "xxxx");
    }
    assert_eq!(rig.sent(), 9);
    rig.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_begun_when_the_engine_gets_stuck_ends_in_an_error() {
    let (permit, permits) = mpsc::channel();
    let rig = rig(permits).await;
    (0..2).for_each(|_| permit.send(()).unwrap());
    let [ours, ..] = questions(May::Go);
    let broken = rig.ask(May::Go, &streamed(ours)).await;
    assert_eq!((broken.status, broken.served_by.as_str()), (200, "home"));
    assert!(broken.text.contains("\"x\"") && broken.text.contains("\"local_stuck\""), "{}", broken.text);
    assert!(!broken.text.contains("[DONE]"), "{}", broken.text);
    assert_eq!(rig.sent(), 0);
    let row = rig.rows(1).await.remove(0);
    assert_eq!((row.outcome.name(), row.reason.as_deref()), ("failed", Some("local_stuck")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_tells_under_which_priority_a_request_waited_for_the_engine_and_how_long() {
    let rig = rig(mpsc::channel().1).await;
    let [(path, usual), ..] = questions(May::Go);
    for fields in [json!({}), json!({ "service_tier": "flex" }), json!({ "model": "far", "service_tier": "flex" })] {
        let mut body = usual.clone();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(rig.ask(May::Go, &(path, body)).await.status, 200);
    }
    let rows = rig.rows(3).await;
    let priorities: Vec<_> = rows.iter().map(|row| row.priority.map(Priority::name)).collect();
    assert_eq!(priorities, [Some("normal"), Some("low"), None]);
    let waited: Vec<_> = rows.iter().map(|row| row.timing.queue.map(|queue| queue < row.timing.total)).collect();
    assert_eq!(waited, [Some(true), Some(true), None]);
}
