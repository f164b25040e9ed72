# shellcheck shell=sh disable=SC1091
. /jitbox/prepare.sh
. /jitbox/index
if [ -f /run/secrets/netrc ]; then export NETRC=/run/secrets/netrc; fi
python=$(command -v python3)
uv=uv
if ! command -v uv >/dev/null; then
  "$python" -m venv /tmp/uv
  /tmp/uv/bin/pip install --quiet --disable-pip-version-check --no-cache-dir uv
  uv=/tmp/uv/bin/uv
fi
export UV_HTTP_RETRIES=8 UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never HOME=/tmp/home
"$uv" venv --quiet --python "$python" /app/venv
# Where the lock says that its own wheels are.
ln -s /jitbox /work
if [ -s /jitbox/requirements.txt ]; then
  "$uv" pip sync --quiet --python /app/venv --require-hashes --no-build /jitbox/requirements.txt
fi
# From here on no Python but one that does not look at what is installed (-I -S): a package's .pth files
# and its sitecustomize are code that runs whenever the environment's own Python starts.
# Byte code is written now: at run time nothing can be. Not every file of a package is Python of today.
"$python" -I -S -m compileall -q -q -j 0 /app/venv/lib/python*/site-packages || :
# Which package each console script belongs to.
"$python" -I -S - > /jitbox/programs.json <<'PY'
import glob, importlib.metadata, json, os
found = {}
for distribution in importlib.metadata.distributions(path=glob.glob("/app/venv/lib/python*/site-packages")):
    name = distribution.metadata["Name"]
    for file in distribution.files or []:
        if "bin" in file.parts[:-1] and ".." in file.parts and os.access("/app/venv/bin/" + file.name, os.X_OK):
            found[file.name] = name
print(json.dumps(found, sort_keys=True))
PY
rm -rf /tmp/uv /tmp/home /work /jitbox/archives
chmod -R a+rX,go-w /app /jitbox
