//! The catalogue of open models: list, pull, verify.
