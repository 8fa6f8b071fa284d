//! Which conversation a request belongs to.

use http::HeaderMap;

use crate::chat::{ChatRequest, Role};

/// Headers in which clients name their conversation, the first that is there counts: ours, then those that agents send.
const NAMED_BY: [&str; 3] = ["x-ajar-session", "x-session-id", "session_id"];

/// A request's conversation, under keyed hashes: neither name nor text can be guessed from them, and those of one tenant
/// say nothing to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// The name that the client gives it.
    pub(crate) named: Option<[u8; 32]>,
    /// How it began: its system messages up to, and with, the first of the user. Several conversations may begin alike.
    pub(crate) opening: [u8; 32],
}

impl Conversation {
    /// The conversation of `request`, for `tenant`.
    pub(crate) fn of(secret: &[u8; 32], tenant: &str, headers: &HeaderMap, request: &ChatRequest) -> Self {
        let name = NAMED_BY.iter().find_map(|name| headers.get(*name));
        let named = name.map(|name| hash(secret, &["named", tenant], [name.as_bytes()]));
        let first = request.messages.iter().position(|message| message.role == Role::User);
        let until = first.map_or(request.messages.len(), |first| first + 1);
        let texts: Vec<String> = request.messages[..until].iter().map(|message| message.text()).collect();
        let opening = hash(secret, &["opening", tenant], texts.iter().map(String::as_bytes));
        Self { named, opening }
    }

    /// What tells it from others best.
    pub(crate) fn id(&self) -> &[u8; 32] {
        self.named.as_ref().unwrap_or(&self.opening)
    }
}

/// Lengths are hashed too, so that no two different lists hash alike.
fn hash<'a>(secret: &[u8; 32], kind: &[&'a str], pieces: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    for piece in kind.iter().map(|kind| kind.as_bytes()).chain(pieces) {
        hasher.update(&(piece.len() as u64).to_le_bytes()).update(piece);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::chat::{Content, Message, Text};

    fn request(texts: &[(Role, &str)]) -> ChatRequest {
        let message = |(role, text): &(Role, &str)| Message {
            role: *role,
            content: vec![Content::Text(Text::from(*text))],
            ..Message::default()
        };
        ChatRequest { messages: texts.iter().map(message).collect(), ..ChatRequest::default() }
    }

    fn of(tenant: &str, session: Option<&'static str>, texts: &[(Role, &str)]) -> Conversation {
        let mut headers = HeaderMap::new();
        if let Some(session) = session {
            headers.insert("x-ajar-session", HeaderValue::from_static(session));
        }
        Conversation::of(&[7; 32], tenant, &headers, &request(texts))
    }

    #[test]
    fn a_later_turn_is_of_the_same_conversation() {
        let first = of("t", None, &[(Role::System, "be kind"), (Role::User, "hello")]);
        let later = of("t", None, &[(Role::System, "be kind"), (Role::User, "hello"), (Role::Assistant, "hi")]);
        assert_eq!(first, later);
        assert_ne!(first, of("t", None, &[(Role::System, "be kind"), (Role::User, "other")]));
        assert_ne!(first, of("t", None, &[(Role::System, "be kindhello")]));
    }

    #[test]
    fn a_name_tells_conversations_apart_and_tenants_have_their_own() {
        let texts = [(Role::User, "hello")];
        let named = of("t", Some("s-1"), &texts);
        assert_eq!(named.id(), of("t", Some("s-1"), &[(Role::User, "other")]).id());
        assert_ne!(named.id(), of("t", Some("s-2"), &texts).id());
        assert_ne!(named.id(), of("u", Some("s-1"), &texts).id());
        assert_ne!(of("t", None, &texts).id(), of("u", None, &texts).id());
    }
}
