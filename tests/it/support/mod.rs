//! What the tests need: `world` builds a throwaway world for each of them (an upstream with a submodule, a checkout, a
//! site file, a home), `origin` serves the upstream over HTTP, `http` is a client that hides nothing, `server` starts
//! real web servers, `person` is somebody with a key and a home of their own, `process` finds and ends what runs because
//! of a world, `tree` compares work trees.

pub(crate) mod http;
pub(crate) mod origin;
pub(crate) mod person;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod tree;
pub(crate) mod world;
