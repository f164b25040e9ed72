//! Images: what a box is made from.

pub mod base;
