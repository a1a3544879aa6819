//! Placeholder until the file is written.
