//! Management commands, one file each.

pub mod doctor;
