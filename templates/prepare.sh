# Sourced by both install scripts: what a box has besides its packages.
set -eu
umask 022
cd /
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
