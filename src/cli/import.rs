//! stub
use crate::cli::args::ImportArgs;
use crate::cli::backend::Backend;
use crate::control::{Answer, Failure};
pub fn run(backend: &mut Backend, args: &ImportArgs) -> Result<Answer, Failure> {
    todo!()
}
