//! `kill -9` under load loses nothing that was answered more than a commit interval before.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ajar::record::Records;

use crate::binary::Served;
use crate::harness::{Setup, client, user};
use crate::sim::{Answer, Script, Sim};

/// The longest a row may wait for its commit.
const COMMIT_INTERVAL: Duration = Duration::from_millis(50);
/// Clients that ask without pause.
const CLIENTS: usize = 8;
/// Answers before the process is killed.
const ANSWERS: usize = 300;

/// Ids of answers and when they were there.
type Answered = Arc<Mutex<Vec<(String, Instant)>>>;

/// Asks until the process is gone.
async fn ask_on(url: String, name: usize, answered: Answered) {
    let client = client();
    for n in 0.. {
        let request = client.post(&url).body(user(&format!("client {name}, question {n}")).to_string()).send();
        let Ok(response) = request.await else { return };
        let id = response.headers()["x-ajar-id"].to_str().unwrap().to_owned();
        if response.bytes().await.is_err() {
            return;
        }
        answered.lock().unwrap().push((id, Instant::now()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_under_load_loses_nothing_older_than_a_commit_interval() {
    let far = Sim::start(Script::answering(Answer::Tokens(20)).unrecorded());
    let setup = Setup::new().provider("far", &far).provider("home", &far);
    let config = setup.write();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("commit_interval: 10ms", "commit_interval: 50ms")).unwrap();
    let (mut older, mut lost_ages) = (0, Vec::new());
    for _ in 0..3 {
        let mut served = Served::start(&config);
        let url = format!("http://{}/v1/chat/completions", served.data);
        let answered = Answered::default();
        let clients: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(ask_on(url.clone(), n, answered.clone()))).collect();
        while answered.lock().unwrap().len() < ANSWERS {
            assert!(clients.iter().any(|client| !client.is_finished()), "the process ended by itself");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        served.child.kill().unwrap();
        let killed = Instant::now();
        for client in clients {
            client.await.unwrap();
        }
        served.child.wait().unwrap();
        // The store opens again, for the gateway and for a reader.
        drop(Served::start(&config));
        let mut records = Records::open(&setup.folder().join("ajar.db")).await.unwrap();
        let stored: HashSet<String> =
            records.tail(u32::MAX).await.unwrap().iter().map(|entry| entry.row.id.to_string()).collect();
        let answered = answered.lock().unwrap();
        let is_older = |at: &Instant| killed.saturating_duration_since(*at) > COMMIT_INTERVAL;
        older += answered.iter().filter(|(_, at)| is_older(at)).count();
        let lost = answered.iter().filter(|(id, at)| is_older(at) && !stored.contains(id));
        lost_ages.extend(lost.map(|(_, at)| killed.saturating_duration_since(*at)));
    }
    assert!(older > ANSWERS, "only {older} answers were old enough to show anything");
    // A thread that a busy machine does not run commits late: so not one in a hundred, and never long after.
    let worst = lost_ages.iter().max().copied().unwrap_or_default();
    assert!(lost_ages.len() * 100 <= older && worst < 10 * COMMIT_INTERVAL, "of {older} lost: {lost_ages:?}");
}
