//! One row per request.
