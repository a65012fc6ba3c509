//! What `elector demo` works with: nothing but how it looks. Where it is held is no question, so no place is read.

use super::env::Environment;
use super::grammar::DemoArgs;
use super::options::{NAMES, Sources, color};
use crate::log::Color;

/// All of `elector demo`.
#[derive(Debug, Clone)]
pub(crate) struct DemoOptions {
    pub(crate) color: Color,
    /// What to say before it begins.
    pub(crate) warnings: Vec<String>,
}

/// Judges `elector demo`.
pub(super) fn demo(args: &DemoArgs, env: &Environment) -> Result<DemoOptions, String> {
    let mut sources = Sources { env, details: Vec::new() };
    let color = color(&mut sources, args.color.as_ref())?;
    Ok(DemoOptions { color, warnings: env.unknown(&NAMES) })
}
