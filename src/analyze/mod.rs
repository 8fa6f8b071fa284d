//! Offline analysis: difficulty fitting and evaluation, reports.
