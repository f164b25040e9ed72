# shellcheck shell=bash
# What the scripts have in common; sourced.

have() { command -v "$1" >/dev/null 2>&1; }

seconds() { # since a moment of EPOCHREALTIME
  local us=$((${EPOCHREALTIME/./} - ${1/./}))
  printf '%d.%d s' $((us / 1000000)) $((us / 100000 % 10))
}

installed() { # PACKAGE…
  local found
  found=$(dpkg-query -W -f '${db:Status-Abbrev}\n' "$@" 2>/dev/null | grep -c '^ii' || true)
  [ "$found" = $# ]
}

apt_install() { # PACKAGE…
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then # no daemons of the packages' own
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=600 \
    -o Dpkg::Options::=--force-unsafe-io "$@"
}

toolchain_says() { # KEY: its words in rust-toolchain.toml
  sed -n "s/^$1 = //p" rust-toolchain.toml | tr -d '[]",'
}

# Installs what rust-toolchain.toml asks for and is not here; rustup itself may have been told not to (RUSTUP_AUTO_INSTALL=0).
rust_toolchain() {
  local targets components target component lib options=()
  have rustup || return 0 # a Rust that came another way is taken as it is
  read -ra targets <<<"$(toolchain_says targets)"
  read -ra components <<<"$(toolchain_says components)"
  lib=$(rustc --print sysroot 2>/dev/null || true)/lib/rustlib
  for target in "${targets[@]}"; do
    if [ ! -d "$lib/$target/lib" ]; then options+=(--target "$target"); fi
  done
  [ ${#options[@]} -gt 0 ] || return 0
  for component in "${components[@]}"; do options+=(--component "$component"); done
  rustup toolchain install "$(toolchain_says channel)" --profile minimal --no-self-update "${options[@]}"
}

# The packages that building base images takes and that are not here. npm and pip may have come another way.
missing_for_images() {
  local package
  for package in mmdebstrap uidmap debian-archive-keyring ca-certificates; do installed "$package" || echo "$package"; done
  have npm || printf '%s\n' nodejs npm
  have pip3 || echo python3-pip
}
