//! The guest is jitbox's PID 1 inside a container. This library is the part that the shim on
//! the host shares with it: the protocol of the link between the two.

pub mod protocol;
