# Runs in a base image, and the project's own code with it: without a network, without secrets.
# Reads length-prefixed files from standard input, writes the wheel's name and the wheel to
# standard output.
set -eu
cd /work
take() { read -r bytes; head -c "$bytes" > "$1"; }
take src.tar.gz
take tools.tar
take folder
take version
mkdir tools tmp out
tar -xzf src.tar.gz
tar -xf tools.tar -C tools
rm src.tar.gz tools.tar
python3 -m venv venv >&2
export HOME=/work TMPDIR=/work/tmp PYTHONPATH=/work/tools PATH="/work/tools/bin:/work/venv/bin:$PATH"
# The same source makes the same wheel; zip has no time before 1980.
export SOURCE_DATE_EPOCH=315532800 PYTHONHASHSEED=0
# Where a project's version is that of its tags: there is no repository here to ask.
version=$(cat version)
export SETUPTOOLS_SCM_PRETEND_VERSION="$version" PDM_BUILD_SCM_VERSION="$version" PBR_VERSION="$version" \
  UV_DYNAMIC_VERSIONING_BYPASS="$version" POETRY_DYNAMIC_VERSIONING_BYPASS="$version"
venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-cache-dir --no-index --no-deps \
  --no-build-isolation --use-pep517 --wheel-dir out "./src/$(cat folder)" >&2
set -- out/*.whl
printf '%s\n' "${1##*/}"
cat "$1"
