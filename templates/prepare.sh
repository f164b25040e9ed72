# Sourced by both install scripts: what a box has besides its packages.
set -eu
umask 022
cd /
# Whoever builds may be killed, and buildah's containers live on then, with nobody to read what
# they say: that is how it is noticed. Our process group is this step and nothing else.
(
  trap '' PIPE
  while sleep 1; do printf '\n' || kill -KILL 0; done
) &
watch=$!
trap 'kill "$watch" 2>/dev/null || true' EXIT
if [ -f /run/secrets/proxy ]; then . /run/secrets/proxy; fi
if [ -s /jitbox/ca.pem ]; then
  export SSL_CERT_FILE=/jitbox/ca.pem NODE_EXTRA_CA_CERTS=/jitbox/ca.pem PIP_CERT=/jitbox/ca.pem
fi
# The user that the program runs as; it owns nothing. Programs look their own name up.
echo 'box:x:65532:65532:box:/state:/usr/sbin/nologin' >> /etc/passwd
echo 'box:x:65532:' >> /etc/group
mkdir -p /app /state
# Older runc gives a tmpfs the mode of the folder that it covers.
chmod 1777 /state
if [ -n "${APT:-}" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o Acquire::https::CaInfo=/jitbox/ca.pem update
  # shellcheck disable=SC2086 # a list of words
  apt-get -qq -y --no-install-recommends -o Acquire::https::CaInfo=/jitbox/ca.pem install $APT >/dev/null
  rm -rf /var/lib/apt/lists/* /var/cache/apt/*
fi
