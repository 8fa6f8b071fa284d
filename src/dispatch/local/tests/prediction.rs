//! Answers that the client predicts.

use super::*;
use crate::chat::reply::Predicted;

async fn predicted(engine: &Engine, text: &str, prediction: &str) -> Answer {
    let plain = job(text, 60, greedy());
    let prediction = Some(prediction.into());
    let request = Arc::new(ChatRequest { prediction, ..(*plain.request).clone() });
    answer(engine.generate(Job { request, ..plain }).expect("queued")).await
}

#[tokio::test]
async fn a_right_prediction_is_accepted_and_a_wrong_one_changes_nothing() {
    let engine = engine().await;
    let text = "Explain in one sentence what a reverse proxy is.";
    let plain = answer(engine.generate(job(text, 60, greedy())).unwrap()).await;
    assert_eq!(plain.usage.predicted, None);
    let right = predicted(&engine, text, &plain.text()).await;
    assert_eq!((right.text(), right.usage.output), (plain.text(), plain.usage.output));
    let worth = right.usage.predicted.unwrap();
    // How many are worth guessing is up to the machine, but some are tried.
    assert!(worth.accepted > worth.rejected, "{worth:?}");
    let wrong = predicted(&engine, text, "Zebras quietly juggle 17 violet teapots.").await;
    assert_eq!(wrong.text(), plain.text());
    let worth = wrong.usage.predicted.unwrap();
    assert!(worth.accepted <= 1 && worth.rejected <= 16, "{worth:?}");
    let none = predicted(&engine, text, "").await;
    assert_eq!((none.text(), none.usage.predicted), (plain.text(), Some(Predicted::default())));
}
