# shellcheck shell=sh disable=SC2154
take "$app/package.json"
take npmrc
# Packages that are in no registry: their files' names and the files.
mkdir "$app/archives"
while read -r name; do take "$app/archives/$name"; done
cd "$app"
export npm_config_userconfig=/work/npmrc npm_config_cache="$cache"
# A connection that stalls is tried again soon; npm would wait for five minutes, and then three minutes between its tries.
export npm_config_fetch_timeout=20000 npm_config_fetch_retries=5 npm_config_fetch_retry_mintimeout=1000 \
  npm_config_fetch_retry_factor=2 npm_config_fetch_retry_maxtimeout=8000
if [ -s /work/lock ]; then
  cp /work/lock package-lock.json
else
  without npm install --package-lock-only --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier \
    --omit-lockfile-registry-resolved=false --loglevel=error >&2
  give package-lock.json
fi
if [ "$mode" = look ]; then exit; fi
debian
without npm ci --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier --loglevel=error >&2
rm -rf "$cache" archives
chmod -R a+rX,go-w /app /jitbox
