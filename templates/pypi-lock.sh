# Runs in a base image, without any of the packages' code: reads length-prefixed files from
# standard input, writes the lock to standard output.
set -eu
cd /work
take() { read -r bytes; head -c "$bytes" > "$1"; }
take requirements.in
take index
take netrc
take ca.pem
take proxy
# shellcheck disable=SC1091
. ./proxy
# shellcheck disable=SC1091
. ./index
export HOME=/work SSL_CERT_FILE=/work/ca.pem PIP_CERT=/work/ca.pem NETRC=/work/netrc UV_CACHE_DIR=/work/cache
uv=uv
if ! command -v uv >/dev/null; then
  python3 -m venv /work/uv >&2
  /work/uv/bin/pip install --quiet --disable-pip-version-check uv >&2
  uv=/work/uv/bin/uv
fi
"$uv" pip compile --quiet --generate-hashes --only-binary :all: --no-header --no-annotate \
  --python "$(command -v python3)" --no-python-downloads requirements.in
