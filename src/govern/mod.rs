//! Virtual keys, rate limits, prices and budgets.
