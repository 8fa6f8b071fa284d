//! OpenAI's client dialect.
