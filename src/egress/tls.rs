//! One TLS implementation for the whole process.

/// Makes *ring* the process's cryptography for TLS: rustls takes none by itself, so that a second one in the
/// dependency tree cannot change what is used. Idempotent; to be called before a client is built.
pub(super) fn use_ring() {
    // Fails only when there is a provider already, which is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
