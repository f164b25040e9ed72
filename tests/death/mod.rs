//! Nothing is ever left behind, whoever dies, in whatever way and whenever.

mod cold;
mod many;
mod matrix;
mod traces;
mod warm;
mod wheel;
mod window;

use crate::Case;
use crate::support::Lane;
use crate::support::home::Line;
use matrix::Death;

pub const CASES: &[Case] = &[
    Case::new("eof", |lane| matrix::of(lane, Death::Eof)),
    Case::new("term", |lane| matrix::of(lane, Death::Term)),
    Case::new("int", |lane| matrix::of(lane, Death::Int)),
    Case::new("hup", |lane| matrix::of(lane, Death::Hup)),
    Case::new("kill", |lane| matrix::of(lane, Death::Kill)),
    Case::new("kill_of_the_engines_client", |lane| matrix::of(lane, Death::EnginesClient)),
    Case::new("kill_of_both", |lane| matrix::of(lane, Death::Both)),
    Case::new("kill_of_the_client", |lane| matrix::of(lane, Death::Client)),
    Case::new("unread_input", matrix::unread_input),
    Case::new("kill_while_the_box_starts", window::kills),
    Case::new("a_run_without_an_owner_file", window::no_owner_file).on(|lane| lane.name == "docker"),
    Case::new("kill_while_the_box_is_made", cold::kills).on(builds),
    Case::new("kill_of_the_makers_client", cold::kill_of_the_makers_client).on(builds),
    Case::new("kill_of_shim_and_keeper", cold::kill_of_the_keeper).on(builds),
    Case::new("kill_of_the_shim_in_a_wheel", wheel::kill_of_the_shim).on(some),
    Case::new("kill_of_the_client_in_a_wheel", wheel::kill_of_the_client).on(some),
    Case::new("kill_of_shim_and_keeper_in_a_wheel", wheel::kill_of_the_keeper).on(some),
    Case::new("fifty_first_starts", many::first_starts).on(some),
    Case::new("warm_start_without_network", warm::without_network).on(|lane| !lane.is_rootless()),
    // gvisor can't be traced; its engine is podman5.
    Case::new("warm_start_asks_the_engine_once", warm::one_call).on(builds),
];

/// A process's command line.
pub fn command(pid: u32) -> String {
    traces::read(pid, "cmdline")
}

/// gvisor's engine is podman5, whose builds are tested there.
fn builds(lane: &Lane) -> bool {
    !lane.is_gvisor()
}

/// One lane of each engine, for what takes long and is about us more than about a version of theirs.
fn some(lane: &Lane) -> bool {
    ["docker", "podman-rootless", "nerdctl"].contains(&&*lane.name)
}

/// An MCP server, in a box that no other test has (other tests remove theirs).
pub const SERVER: Line = Line {
    shim: "npx-safe",
    args: &[
        "-y",
        "-p",
        "@modelcontextprotocol/server-everything@2026.8.31",
        "-p",
        "is-odd@3.0.1",
        "node",
        "-e",
        "console.log('moo')",
    ],
};
