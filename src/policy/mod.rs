//! The policy language and the decision.
