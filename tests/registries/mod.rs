//! Private registries: real ones, started here, that let nobody in without a login.
//!
//! They listen on this machine's own address, which the containers that resolve and fetch reach
//! over every engine's default network, in plain HTTP.

mod age;
mod npm;
pub mod own;
mod pypi;
mod redirect;
mod server;
mod traces;

pub use server::end;

use crate::Case;
use crate::support::Lane;

pub const CASES: &[Case] = &[
    Case::new("npm_token", npm::token).on(that_names_its_folders),
    Case::new("npm_other_logins", npm::other_logins).on(on_one),
    Case::new("npm_killed", npm::killed).on(on_one),
    Case::new("npm_without_token", npm::without_token).on(on_one),
    Case::new("npm_redirected_file", redirect::redirected_file).on(on_one),
    Case::new("npm_age", age::npm).on(Lane::fetches),
    Case::new("npm_age_unknown", age::npm_unknown).on(on_one),
    Case::new("pypi_age", age::pypi).on(on_two),
    Case::new("pypi_age_of_a_project", age::pypi_project).on(on_one),
    Case::new("pypi_age_unknown", age::pypi_unknown).on(on_one),
    Case::new("pypi_login", pypi::login).on(that_names_its_folders),
    Case::new("pypi_other_logins", pypi::other_logins).on(on_one),
    Case::new("pypi_without_login", pypi::without_login).on(on_one),
];

/// Not nerdctl: what it leaves is in the folders of two daemons, which it does not name.
fn that_names_its_folders(lane: &Lane) -> bool {
    lane.fetches() && lane.name != "nerdctl"
}

/// One lane, for what no engine has a say in.
fn on_one(lane: &Lane) -> bool {
    lane.name == "podman"
}

/// Two engines, each of another make.
fn on_two(lane: &Lane) -> bool {
    ["podman", "docker"].contains(&&*lane.name)
}
