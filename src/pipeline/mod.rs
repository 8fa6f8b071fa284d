//! The life of a request, top to bottom. Everything else is detail below it.
//!
//! ```text
//! authenticate ─► understand (read, decode, classify, decide) ─► look up ─► dispatch ─► encode ─► respond ─► record
//! ```

mod apart;
mod companions;
mod continuing;
mod conversation;
mod count;
mod dispatching;
mod dry_run;
mod encode;
mod entry;
mod gateway;
mod generation;
mod lazily;
mod lookup;
mod meter;
mod preference;
mod pseudonyms;
mod refusal;
mod reload;
mod repeat;
mod respond;
mod taint;
mod trial;
mod understand;
mod view;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::Request;

pub use self::apart::Apart;
pub use self::companions::Companions;
pub use self::count::count_tokens;
use self::dispatching::dispatch;
use self::entry::Entry;
pub use self::gateway::Gateway;
pub use self::generation::{Generation, Policy, Trial};
pub use self::lookup::Fills;
use self::lookup::{Lookup, fill, look_up};
pub use self::preference::no_such_model;
pub use self::reload::{Answer, Reload, Reloads};
pub use self::repeat::Named;
pub use self::taint::Taints;
pub use self::understand::explain;
use self::understand::understand;
use crate::dialect::Dialect;

/// Answers a request for an answer of a model, in the client's `dialect`.
///
/// Every request that was authenticated ends in exactly one record: [`Entry`] writes it when it is dropped, whether the
/// answer was complete, refused, broken, or nobody waited for it.
pub async fn answer(gateway: Arc<Gateway>, dialect: Dialect, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let generation = gateway.generation.load_full();
    let subject = match gateway.authenticate(&generation, &head) {
        Ok(subject) => subject,
        Err(refusal) => return refusal.respond(dialect),
    };
    let mut entry = Entry::begin(&gateway, &subject, dialect);
    match dry_run::is_asked(&head.headers, &subject) {
        Ok(false) => {}
        Ok(true) => return dry_run::answer(&gateway, &generation, &subject, &head, body, entry).await,
        Err(error) => return respond::failed(entry, error),
    }
    let call = match understand(&gateway, generation, &subject, &head, body, &mut entry).await {
        Ok(call) => call,
        Err(error) => return respond::failed(entry, error),
    };
    let labels = entry.labels();
    let streams = call.streams();
    match look_up(&gateway, &call, &mut entry) {
        Lookup::Hit(answer) => respond::cached(entry, &call, &answer),
        Lookup::Follow(reader) => respond::coalesced(labels, Some(entry), streams, reader).await,
        Lookup::Lead(writer, reader) => {
            let labels = entry.labels();
            fill(gateway, call, entry, writer, &reader);
            respond::coalesced(labels, None, streams, reader).await
        }
        Lookup::Alone => match dispatch(&gateway, call, entry).await {
            Ok(begun) => respond::direct(begun),
            Err(ended) => respond::failed(ended.0, ended.1),
        },
    }
}
