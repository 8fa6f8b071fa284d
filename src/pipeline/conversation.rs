//! Which conversation a request belongs to.

use http::HeaderMap;

use crate::chat::{ChatRequest, Role};
use crate::dispatch::Affinity;
use crate::policy::set::KnownBy;

/// Headers in which clients name their conversation, the first that is there counts: ours, then those that agents send.
const NAMED_BY: [&str; 3] = ["x-ajar-session", "x-session-id", "session_id"];

/// A request's conversation, under keyed hashes: neither name nor text can be guessed from them, and those of one tenant
/// say nothing to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// The name that the client gives it.
    pub(crate) named: Option<[u8; 32]>,
    /// The answer that the request continues.
    pub(crate) continues: Option<[u8; 32]>,
    /// How it began: its system messages up to, and with, the first of the user. Several conversations may begin alike.
    pub(crate) opening: [u8; 32],
}

impl Conversation {
    /// The conversation of `request`, for `tenant`.
    pub(crate) fn of(secret: &[u8; 32], tenant: &str, headers: &HeaderMap, request: &ChatRequest) -> Self {
        let named = name(headers).map(|name| hash(secret, ["named", tenant], [name]));
        let continues = request.continues.as_ref().map(|id| answer(secret, tenant, id.expose()));
        let first = request.messages.iter().position(|message| message.role == Role::User);
        let until = first.map_or(request.messages.len(), |first| first + 1);
        let texts: Vec<String> = request.messages[..until].iter().map(|message| message.text()).collect();
        let opening = hash(secret, ["opening", tenant], texts.iter().map(String::as_bytes));
        Self { named, continues, opening }
    }

    /// What tells it from others best.
    pub(crate) fn id(&self) -> &[u8; 32] {
        self.named.as_ref().unwrap_or(&self.opening)
    }

    /// What stays the same for all its requests, whoever answers them.
    pub(crate) fn affinity(&self, sealed: bool) -> Affinity {
        let mut first = [0; 8];
        first.copy_from_slice(&self.id()[..8]);
        Affinity { conversation: u64::from_le_bytes(first), sealed }
    }

    /// What it is known by, of what `by` lists.
    pub(crate) fn known(&self, by: &[KnownBy]) -> impl Iterator<Item = [u8; 32]> {
        by.iter().filter_map(|by| match by {
            KnownBy::Header => self.named,
            KnownBy::Response => self.continues,
            KnownBy::Opening => Some(self.opening),
        })
    }

    /// What its next requests are known by, of what `by` lists; those that continue the answer to come go by its id.
    pub(crate) fn lasting(&self, by: &[KnownBy]) -> Vec<[u8; 32]> {
        Self { continues: None, ..*self }.known(by).collect()
    }
}

/// Whether a request says anything of what `by` lists.
pub(crate) fn is_known(by: &[KnownBy], headers: &HeaderMap, request: &ChatRequest) -> bool {
    by.iter().any(|by| match by {
        KnownBy::Header => name(headers).is_some(),
        KnownBy::Response => request.continues.is_some(),
        KnownBy::Opening => true,
    })
}

/// By what a request is known that continues the answer `id`.
pub(crate) fn answer(secret: &[u8; 32], tenant: &str, id: &str) -> [u8; 32] {
    hash(secret, ["answer", tenant], [id.as_bytes()])
}

/// Whoever sends an empty name names nothing.
fn name(headers: &HeaderMap) -> Option<&[u8]> {
    let names = NAMED_BY.iter().filter_map(|name| headers.get(*name)).map(|name| name.as_bytes().trim_ascii());
    names.into_iter().find(|name| !name.is_empty())
}

/// Lengths are hashed too, so that no two different lists hash alike.
fn hash<'a>(secret: &[u8; 32], kind: [&str; 2], pieces: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    let mut add = |piece: &[u8]| {
        hasher.update(&(piece.len() as u64).to_le_bytes()).update(piece);
    };
    kind.iter().for_each(|kind| add(kind.as_bytes()));
    pieces.into_iter().for_each(&mut add);
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

    #[test]
    fn a_name_that_is_empty_names_nothing_and_one_that_is_no_text_names_something() {
        let named = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-session-id", HeaderValue::from_bytes(value).unwrap());
            Conversation::of(&[7; 32], "t", &headers, &request(&[])).named
        };
        assert_eq!([named(b""), named(b"  ")], [None, None]);
        assert!(named(b"\xff").is_some_and(|id| Some(id) != named(b"\xfe")));
    }

    #[test]
    fn an_answer_is_known_by_its_id_within_its_tenant_and_lasts_by_other_means() {
        let mut asked = request(&[(Role::User, "go on")]);
        asked.continues = Some(Text::from("chatcmpl-1"));
        let conversation = Conversation::of(&[7; 32], "t", &HeaderMap::new(), &asked);
        let by = [KnownBy::Header, KnownBy::Response];
        assert_eq!(conversation.known(&by).collect::<Vec<_>>(), [answer(&[7; 32], "t", "chatcmpl-1")]);
        assert_ne!(conversation.continues, Some(answer(&[7; 32], "u", "chatcmpl-1")));
        assert_eq!(conversation.lasting(&by), Vec::<[u8; 32]>::new());
        assert_eq!(conversation.lasting(&[KnownBy::Opening]), [conversation.opening]);
    }
}
