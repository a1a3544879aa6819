//! stub
use crate::control::{Answer, Failure};
pub fn run(keep: bool, json: bool) -> Result<Answer, Failure> {
    todo!()
}
