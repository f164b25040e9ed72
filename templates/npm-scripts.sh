# Runs packages' install scripts in their own box's image, on a copy of what is in it: without a network, without
# secrets. Arguments: the packages' folders, "--", their names. Writes what is new in those folders to standard output,
# as an archive.
set -eu
cp -R /app /scripts/app
mkdir /scripts/home /scripts/tmp
# No package's folder has a line break in its name.
while [ "$1" != -- ]; do
  printf '%s\n' "$1" >> /scripts/folders
  shift
done
shift
touch /scripts/begun
cd /scripts/app
export PATH=/usr/local/bin:/usr/bin:/bin HOME=/scripts/home TMPDIR=/scripts/tmp
export npm_config_cache=/scripts/npm npm_config_offline=true npm_config_update_notifier=false npm_config_loglevel=error
# npm 12 runs only those of packages that its settings name.
printf 'allow-scripts[]=%s\n' "$@" > /scripts/npmrc
npm_config_userconfig=/scripts/npmrc npm rebuild --foreground-scripts --ignore-scripts=false "$@" >&2
# By the time of the change of a file's state: what is unpacked has older times.
while read -r folder; do
  find "$folder" -name node_modules -prune -o \( -type f -o -type l \) -cnewer /scripts/begun -print
done < /scripts/folders | tar --hard-dereference --no-recursion -c -T -
