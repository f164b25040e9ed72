# Runs in a base image, without any of the packages' code: reads length-prefixed files from
# standard input, writes the lock to standard output.
set -eu
cd /work
take() { read -r bytes; head -c "$bytes" > "$1"; }
take package.json
take npmrc
take ca.pem
take proxy
# Packages that are in no registry: their files' names and the files.
mkdir archives
while read -r name; do take "archives/$name"; done
# shellcheck disable=SC1091
. ./proxy
export HOME=/work npm_config_userconfig=/work/npmrc npm_config_cache=/work/cache NODE_EXTRA_CA_CERTS=/work/ca.pem
# A connection that stalls is tried again soon; npm would wait for five minutes, and then three minutes between its tries.
export npm_config_fetch_timeout=20000 npm_config_fetch_retries=5 npm_config_fetch_retry_mintimeout=1000 \
  npm_config_fetch_retry_factor=2 npm_config_fetch_retry_maxtimeout=8000
npm install --package-lock-only --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier \
  --omit-lockfile-registry-resolved=false --loglevel=error >&2
cat package-lock.json
