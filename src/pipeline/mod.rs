//! The life of a request, top to bottom. Everything else is detail below it.
//!
//! ```text
//! authenticate ─► understand (read, decode, classify, decide) ─► look up ─► dispatch ─► encode ─► respond ─► record
//! ```

mod dispatching;
mod encode;
mod entry;
mod gateway;
mod lazily;
mod lookup;
mod meter;
mod policy;
mod respond;
mod understand;

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::Request;

use self::dispatching::dispatch;
use self::entry::Entry;
pub use self::gateway::Gateway;
use self::lookup::{Lookup, fill, look_up};
pub use self::policy::Policy;
pub use self::understand::explain;
use self::understand::understand;

/// Answers `POST /v1/chat/completions`.
///
/// Every request that was authenticated ends in exactly one record: [`Entry`] writes it when it is dropped, whether the
/// answer was complete, refused, broken, or nobody waited for it.
pub async fn chat(gateway: Arc<Gateway>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let subject = match gateway.authenticate(&head) {
        Ok(subject) => subject,
        Err(refusal) => return refusal.into_response(),
    };
    let mut entry = Entry::begin(&gateway, &subject);
    let call = match understand(&gateway, &subject, &head, body, &mut entry).await {
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
