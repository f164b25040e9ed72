//! The grammar of `uvx`.
use std::ffi::OsString;

use super::Request;
use crate::error::{Error, Result};

/// Parses what `uvx` would get.
pub fn parse(_args: &[OsString]) -> Result<Request> {
    Err(Error::usage("nothing is understood yet"))
}
