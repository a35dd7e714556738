//! Errors that are meant to be ignored.

/// Ignores an error, and says at the call `because` of what nothing depends on it.
pub(crate) fn ignore<T, E>(result: Result<T, E>, because: &'static str) {
    debug_assert!(!because.is_empty());
    drop(result);
}
