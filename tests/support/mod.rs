//! What the tests share.

pub mod dice;
pub mod home;
pub mod lane;
pub mod mcp;
pub mod npm;
pub mod published;
pub mod run;
pub mod web;

pub use home::{Carrier, Home};
pub use lane::Lane;
pub use run::{Done, run};

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Held by what loads the whole machine, and by what has a limit of seconds to keep.
static LOAD: RwLock<()> = RwLock::new(());

/// For a test that loads the machine: one at a time, and beside none that has to be quick.
pub fn loading() -> RwLockWriteGuard<'static, ()> {
    LOAD.write().unwrap_or_else(PoisonError::into_inner)
}

/// For a test that has to be quick.
pub fn quick() -> RwLockReadGuard<'static, ()> {
    LOAD.read().unwrap_or_else(PoisonError::into_inner)
}

/// How long anything may take that is expected to happen at all.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until `look` finds something; panics with `what` when it takes too long.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
