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

# The packages that building base images takes and that are not here. npm and pip may have come another way.
missing_for_images() {
  local package
  for package in mmdebstrap uidmap debian-archive-keyring ca-certificates; do installed "$package" || echo "$package"; done
  have npm || printf '%s\n' nodejs npm
  have pip3 || echo python3-pip
}
