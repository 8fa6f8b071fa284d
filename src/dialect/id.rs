//! By what id a client knows an answer.

use serde::Deserialize;

/// The id by which the client will know the answer that `bytes` begin: a whole reply, or frames of a stream.
pub fn answer_id(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Answer {
        Itself {
            id: String,
        },
        /// Anthropic's first event, and the first of OpenAI's responses.
        Begun {
            #[serde(alias = "response")]
            message: Begun,
        },
    }
    #[derive(Deserialize)]
    struct Begun {
        id: String,
    }
    let id = |json: &[u8]| match serde_json::from_slice(json).ok()? {
        Answer::Itself { id } | Answer::Begun { message: Begun { id } } => Some(id),
    };
    if bytes.trim_ascii_start().starts_with(b"{") {
        return id(bytes);
    }
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.filter_map(|line| line.strip_prefix(b"data:")).find_map(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_id_is_read_from_a_whole_reply_and_from_the_first_event_that_has_one() {
        let of = |bytes: &str| answer_id(bytes.as_bytes());
        assert_eq!(of(r#" {"choices":[],"id":"chatcmpl-1"}"#).as_deref(), Some("chatcmpl-1"));
        let frames = ": hello\n\nevent: x\r\ndata: {}\r\n\r\ndata: {\"id\":\"a\\u0062\"}\n\ndata: {\"id\":\"c\"}\n\n";
        assert_eq!(of(frames).as_deref(), Some("ab"));
        let begun = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\"}}\n\n";
        assert_eq!(of(begun).as_deref(), Some("msg_1"));
        let typed =
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";
        assert_eq!(of(typed).as_deref(), Some("resp_1"));
        assert_eq!([of("data: [DONE]\n\n"), of(r#"{"id":1}"#), of("")], [None, None, None]);
    }
}
