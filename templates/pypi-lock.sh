# Runs in a base image, without any of the packages' code: reads length-prefixed files from
# standard input, writes the lock to standard output; or, as `tools`, what was asked for.
set -eu
cd /work
take() { read -r bytes; head -c "$bytes" > "$1"; }
take requirements.in
take constraints.txt
take index
take netrc
take ca.pem
take proxy
# Wheels of packages that are in no registry: their names and themselves.
mkdir archives
while read -r name; do take "archives/$name"; done
# shellcheck disable=SC1091
. ./proxy
# shellcheck disable=SC1091
. ./index
export HOME=/work SSL_CERT_FILE=/work/ca.pem PIP_CERT=/work/ca.pem NETRC=/work/netrc UV_CACHE_DIR=/work/cache
# A bridge that changes its address (netavark before 1.9) is dead for longer than uv would try.
export UV_HTTP_RETRIES=8
uv=uv
if ! command -v uv >/dev/null; then
  python3 -m venv /work/uv >&2
  /work/uv/bin/pip install --quiet --disable-pip-version-check uv >&2
  uv=/work/uv/bin/uv
fi
python=$(command -v python3)
if [ "${1:-}" = tools ]; then
  mkdir tools
  "$uv" pip install --quiet --only-binary :all: --link-mode copy --target tools \
    --python "$python" --no-python-downloads --requirements requirements.in >&2
  exec tar -cf - -C tools .
fi
# Who needs what, and from which index it is, stays in it as comments: image::tree reads them.
"$uv" pip compile --quiet --generate-hashes --only-binary :all: --no-header \
  --annotation-style split --emit-index-annotation \
  --python "$python" --no-python-downloads --constraints constraints.txt requirements.in
