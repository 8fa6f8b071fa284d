//! OpenAI's moderations: by whom the policy lets look.

use serde_json::{Value, json};

use crate::embeddings::World;
use crate::harness::Reply;

const PATH: &str = "/v1/moderations";

async fn judge(world: &World, body: Value) -> Reply {
    world.ask_at(PATH, body).await
}

#[tokio::test]
async fn verdicts_come_from_the_first_that_the_policy_lets_in_though_no_model_is_named() {
    let world = World::new().await;
    let body = r#"{ "input" : ["nice", "I will hurt you"] }"#;
    let reply = Reply::read(world.gateway.open_at(PATH, body, &[]).await).await;
    assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "judge"), "{}", reply.text());
    let flagged: Vec<bool> =
        reply.json()["results"].as_array().unwrap().iter().map(|verdict| verdict["flagged"] == true).collect();
    assert_eq!(flagged, [false, true]);
    let received = world.far.requests().pop().unwrap();
    assert_eq!(received.path, PATH);
    let sent = String::from_utf8(received.body.to_vec()).unwrap();
    assert_eq!(sent, r#"{"model":"omni-moderation-latest", "input" : ["nice", "I will hurt you"] }"#);
    let row = world.gateway.rows(1).await.pop().unwrap();
    assert_eq!((row.dialect.as_ref(), row.output_tokens), ("openai.moderations", Some(0)));
    assert_eq!(row.asked_model.as_deref(), Some("auto"));
}

#[tokio::test]
async fn what_is_restricted_is_judged_at_home() {
    let world = World::new().await;
    let inputs = [
        json!("my card is 4111 1111 1111 1111, I hurt"),
        json!(["nice", "card 4111 1111 1111 1111, hurt"]),
        json!([{"type": "text", "text": "card 4111 1111 1111 1111, hurt"}]),
    ];
    for input in inputs {
        let reply = judge(&world, json!({"model": "judge", "input": input})).await;
        assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "guard"), "{}", reply.text());
        assert!(reply.json()["results"].as_array().unwrap().iter().any(|verdict| verdict["flagged"] == true));
    }
    assert_eq!(world.far.connections(), 0);
}

#[tokio::test]
async fn images_are_looked_at_too_and_what_is_neither_is_refused() {
    let world = World::new().await;
    let image = json!({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}});
    let reply = judge(&world, json!({"input": [image, {"type": "text", "text": "what is it?"}]})).await;
    assert_eq!((reply.status, reply.json()["results"][0]["flagged"].clone()), (200, json!(false)), "{}", reply.text());
    assert!(world.far.saw("https://a.example/b.png"));
    for (input, param) in
        [(json!([7]), "input[0]"), (json!([{"type": "file"}]), "input[0].type"), (Value::Null, "input")]
    {
        let reply = judge(&world, json!({"input": input})).await;
        assert_eq!((reply.status, reply.error().1.as_deref()), (400, Some(param)), "{}", reply.text());
    }
}
