# List the commands
default:
    @just --list

# The three programs, release build
build:
    cargo build --release

# Everything, from nothing; or some parts (scripts/test --help)
test *parts:
    scripts/test {{ parts }}

# What a hostile package would try, on every engine: probe × lane × ecosystem (docs/abuse.md)
abuse:
    cargo test --test jitbox -- abuse::

# Servers that people develop with, each with at most one grant (docs/servers.md)
servers:
    cargo test --test jitbox -- --ignored --nocapture development::

# Random lines through all scanners (JITBOX_FUZZ=how many, JITBOX_SEED=which)
fuzz:
    cargo test --release --lib -- --ignored --nocapture many_lines

# Formatting, clippy, shellcheck
lint:
    scripts/test lint

# From nothing to an MCP server in a box
try *options:
    scripts/try {{ options }}

# Beside native npx and bare engine runs, on the test bed's lanes
bench *options:
    scripts/bench {{ options }}

# The engines that the tests run on: up, lanes, run, down
testbed *arguments='up':
    scripts/testbed {{ arguments }}

# jitbox, npx-safe and uvx-safe into cargo's bin folder
install:
    cargo install --locked --path .
