//! Everything that can be shown through the real binary.
//!
//! `world` builds a throwaway world for each test: an upstream with a submodule, a checkout,
//! a site file, a home. `origin` serves the upstream over HTTP, `http` is a client that hides
//! nothing, `server` starts real web servers. The other modules hold the tests.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may start programs, read its own environment, and must stop at the first surprise"
)]

mod advice;
mod checkouts;
mod checkouts_clone;
mod checkouts_latest;
mod checkouts_shapes;
mod checkouts_submodules;
mod commands;
mod deploys;
mod disks;
mod docs;
mod facts;
mod hostile;
mod http;
mod kills;
mod origin;
mod person;
mod properties;
mod redactions;
mod requests;
mod server;
mod servers;
mod tidy;
mod turns;
mod world;
