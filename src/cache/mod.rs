//! Exact cache with coalesced fill.
