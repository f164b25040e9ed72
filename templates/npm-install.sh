# shellcheck shell=sh disable=SC1091
. /jitbox/prepare.sh
cd /app
cp -R /jitbox/package.json /jitbox/package-lock.json /jitbox/archives .
if [ -f /run/secrets/npmrc ]; then npmrc=/run/secrets/npmrc; else npmrc=/jitbox/npmrc; fi
# A connection that stalls is tried again soon; npm would wait for five minutes, and then three minutes between its tries.
export npm_config_fetch_timeout=20000 npm_config_fetch_retries=5 npm_config_fetch_retry_mintimeout=1000 \
  npm_config_fetch_retry_factor=2 npm_config_fetch_retry_maxtimeout=8000
npm_config_userconfig=$npmrc HOME=/tmp/home npm_config_cache=/tmp/npm \
  npm ci --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier --loglevel=error
rm -rf /tmp/npm /tmp/home /root/.npm /app/archives /jitbox/archives
chmod -R a+rX,go-w /app /jitbox
