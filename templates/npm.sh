# shellcheck shell=sh disable=SC2154
take "$app/package.json"
take npmrc
# Packages that are in no registry: their files' names and the files.
mkdir "$app/archives"
while read -r name; do take "$app/archives/$name"; done
cd "$app"
export npm_config_userconfig=/work/npmrc npm_config_cache="$cache" npm_config_logs_max=0
# A connection that stalls is tried again soon; npm would wait for five minutes, and then three minutes between its tries.
export npm_config_fetch_timeout=20000 npm_config_fetch_retries=5 npm_config_fetch_retry_mintimeout=1000 \
  npm_config_fetch_retry_factor=2 npm_config_fetch_retry_maxtimeout=8000
fetch() {
  without npm "$@" --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier \
    --omit-lockfile-registry-resolved=false --loglevel=error >&2
}
if [ -s /work/lock ]; then
  cp /work/lock package-lock.json
elif [ "$mode" != make ]; then
  fetch install --package-lock-only
  give package-lock.json
fi
if [ "$mode" = look ]; then exit; fi
debian
if [ -e package-lock.json ]; then
  fetch ci
else
  # Both at once takes a second less: one npm, which fetches while it resolves.
  fetch install
  give package-lock.json
fi
forget_cache
rm -rf archives
chmod -R a+rX,go-w /app /jitbox
