# Both scripts begin with this. They run in a base image and fetch, without any of the packages' code: to `make` a box,
# as root without capabilities, in a container of which an image is made afterwards, without what is in /work; the same
# to `renew` one, where what is resolved may be all that is wanted; or only to `look` which versions there are, or for
# the `tools` that build a project, where nothing but /work can be written.
# They read length-prefixed files from standard input, and write such to standard output: the lock, the programs.
set -eu
umask 022
take() { read -r bytes; head -c "$bytes" > "$1"; }
give() { wc -c < "$1"; cat "$1"; }
mode=$1
jitbox=/work/jitbox app=/work/app
if [ "$mode" = make ] || [ "$mode" = renew ]; then
  jitbox=/jitbox app=/app
  # podman's root folder can't be written to, not even by its owner.
  chmod u+w /
  mkdir -p /state
  # Older runc gives a tmpfs the mode of the folder that it covers.
  chmod 1777 /state
  # The user that the program runs as; it owns nothing. Programs look their own name up.
  echo 'box:x:65532:65532:box:/state:/usr/sbin/nologin' >> /etc/passwd
  echo 'box:x:65532:' >> /etc/group
fi
mkdir -p "$jitbox" "$app"
cd /work
take "$jitbox/guest"
chmod 755 "$jitbox/guest"
take "$jitbox/ca.pem"
if [ -s "$jitbox/ca.pem" ]; then
  export SSL_CERT_FILE="$jitbox/ca.pem" NODE_EXTRA_CA_CERTS="$jitbox/ca.pem" PIP_CERT="$jitbox/ca.pem"
fi
take proxy
# shellcheck disable=SC1091
. ./proxy
# What is known already: of a box that is made again.
take lock
take apt
# Debian's packages need capabilities to be installed, which nothing else is to have.
if [ -s apt ]; then
  without() { setpriv --bounding-set=-all --inh-caps=-all "$@"; }
else
  without() { "$@"; }
fi
debian() {
  if [ ! -s /work/apt ]; then return; fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o Acquire::https::CaInfo="$jitbox/ca.pem" -o APT::Sandbox::User=root update >&2
  xargs apt-get -qq -y --no-install-recommends -o Acquire::https::CaInfo="$jitbox/ca.pem" \
    -o APT::Sandbox::User=root install < /work/apt >&2
  rm -rf /var/lib/apt/lists/* /var/cache/apt/*
}
# A cache: what was fetched for other boxes, too, else one that is only there for as long as it takes. That is on disk,
# where it may be large, and where its files can become the box's.
export HOME=/work cache="$jitbox/cache"
if [ -d /jitbox-cache ]; then cache=/jitbox-cache; fi
forget_cache() { if [ "$cache" != /jitbox-cache ]; then rm -rf "$cache"; fi; }
