//! The policy language and the decision. Pure: no I/O, no clock.
//!
//! [`load`] turns files into a checked [`PolicySet`]; [`decide`] turns one request's facts into a [`Decision`] about
//! where it may go and where it goes first; [`permit`] turns that decision into the right to send one body.

pub mod analysis;
pub mod cases;
pub mod decide;
pub mod decision;
pub mod explain;
pub mod expr;
pub mod facts;
pub mod label;
pub mod load;
pub mod permit;
pub mod quality;
pub mod rollout;
pub mod schema;
pub mod set;
pub mod vocabulary;

pub use decide::{DestinationState, Inputs, class_of, decide, decide_within};
pub use decision::{Barrier, Candidate, Decision, Outcome, Refusal};
pub use load::{PriceFile, Prices, Source, WORD_LIST, load, price_file};
pub use permit::{Grant, Permit};
pub use set::{
    Boundary, Class, Destination, DestinationId, DestinationSet, Floor, PolicySet, Style, Transform, TransformSet,
};
pub use vocabulary::{Fact, Facts, Slot, Vocabulary};
