//! `config/ajar.yaml`, the environment and flags, checked into one `Config`.
