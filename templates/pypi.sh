# shellcheck shell=sh disable=SC2154
take requirements.in
take constraints.txt
take index
take netrc
take uv.whl
# Wheels of packages that are in no registry: their names and themselves.
mkdir archives
while read -r name; do take "archives/$name"; done
# shellcheck disable=SC1091
. ./index
export NETRC=/work/netrc UV_CACHE_DIR="$cache" UV_PYTHON_DOWNLOADS=never
# Files of another file system can't become the box's, and what an index said minutes ago may be too old for what was
# found there just now.
link=hardlink refresh=
if [ "$cache" = /jitbox-cache ]; then link=copy refresh=--refresh; fi
# A bridge that changes its address (netavark before 1.9) is dead for longer than uv would try.
export UV_HTTP_RETRIES=8
python=$(command -v python3)
"$python" -I -S -m zipfile -e uv.whl wheel
rm uv.whl
uv=$(echo /work/wheel/*.data/scripts/uv)
chmod 755 "$uv"
if [ "$mode" = tools ]; then
  mkdir tools
  "$uv" pip install --quiet --only-binary :all: --link-mode copy --target tools \
    --python "$python" --requirements requirements.in >&2
  exec tar -cf - -C tools .
fi
# Who needs what, and from which index it is, stays in it as comments: image::tree reads them.
if [ -s lock ]; then
  cp lock requirements.txt
else
  : > requirements.txt
  if [ -s requirements.in ]; then
    # shellcheck disable=SC2086
    without "$uv" pip compile $refresh --quiet --generate-hashes --only-binary :all: --no-header \
      --annotation-style split --emit-index-annotation \
      --python "$python" --constraints constraints.txt requirements.in > requirements.txt
  fi
  give requirements.txt
fi
if [ "$mode" = look ]; then exit; fi
debian
without "$uv" venv --quiet --python "$python" /app/venv
if [ -s requirements.txt ]; then
  without "$uv" pip sync --quiet --python /app/venv --require-hashes --no-build --link-mode "$link" requirements.txt >&2
fi
forget_cache
# From here on no Python but one that does not look at what is installed (-I -S): a package's .pth files
# and its sitecustomize are code that runs whenever the environment's own Python starts.
# Byte code is written now: at run time nothing can be. Not every file of a package is Python of today.
without "$python" -I -S -m compileall -q -q -j 0 /app/venv/lib/python*/site-packages >&2 || :
# Which package each console script belongs to.
without "$python" -I -S - > /jitbox/programs.json <<'PY'
import glob, importlib.metadata, json, os
found = {}
for distribution in importlib.metadata.distributions(path=glob.glob("/app/venv/lib/python*/site-packages")):
    name = distribution.metadata["Name"]
    for file in distribution.files or []:
        if "bin" in file.parts[:-1] and ".." in file.parts and os.access("/app/venv/bin/" + file.name, os.X_OK):
            found[file.name] = name
print(json.dumps(found, sort_keys=True))
PY
chmod -R a+rX,go-w /app /jitbox
give /jitbox/programs.json
