//! Everything that can be shown through the real binary.
//!
//! `support` builds the throwaway worlds; the other modules hold the tests.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may start programs, read its own environment, and must stop at the first surprise"
)]

mod advice;
mod back;
mod browser;
mod checkouts;
mod checkouts_clone;
mod checkouts_latest;
mod checkouts_shapes;
mod checkouts_submodules;
mod commands;
mod commit_status;
mod deploys;
mod disks;
mod docs;
mod facts;
mod gateways;
mod git_commands;
mod hold;
mod hostile;
mod kills;
mod live;
mod only;
mod page;
mod properties;
mod redactions;
mod requests;
mod servers;
mod status;
mod support;
mod tidy;
mod turns;
mod untrusted;
mod untrusted_again;
mod untrusted_host;
mod untrusted_words;
mod workflow;

use support::{http, origin, person, process, server, tree, world};
