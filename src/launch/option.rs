//! The table of options that both scanners read.
