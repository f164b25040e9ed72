# shellcheck shell=bash disable=SC2154
# `testbed down`: see ../testbed, which sources this. Undoes the journal that `up` kept, last line first.

down() {
  local purge='' force='' option action rest lane used start=$EPOCHREALTIME
  for option; do
    case $option in --purge) purge=1 ;; --force) force=1 ;; *) usage ;; esac
  done
  [ -e "$journal" ] || { say 'nothing to undo'; return; }
  mkdir -p "$runtime"
  exec 9>"$runtime/lock"
  flock 9
  # What others started with `run` is not ours to end.
  if [ -z "$force" ] && used=$(in_use) && [ -n "$used" ]; then
    printf '%s\n' "$used" >&2
    die 'the lanes are in use, see above (down --force ends it all)'
  fi
  for lane in "${lanes[@]}"; do
    remove_containers "$lane" || true
  done
  end_processes
  while read -r action rest; do undo "$action" "$rest" || say "not undone: $action $rest"; done < <(tac "$journal")
  unmount_below "$runtime"
  unmount_below "$state"
  # What is kept goes with the state folder.
  sed -i -n '/^user /p; /^podman-store/p' "$journal"
  if [ -n "$purge" ]; then purge; fi
  rm -rf --one-file-system "$runtime"
  say "down ($(seconds "$start"))"
}

in_use() { # prints the containers that run and the processes that `run` started; not the engines' own helpers
  local lane engine pid command
  for lane in "${lanes[@]}"; do
    engine=$(engine_to_ask "$lane") || continue
    in_lane "$lane" timeout 20 "$engine" ps --format "$lane: container {{.Names}} ({{.Image}})" 2>/dev/null || true
  done
  for pid in /proc/[0-9]*; do
    grep -qsz "^HOME=$state/home/" "$pid/environ" || continue
    command=$(tr '\0' ' ' <"$pid/cmdline" 2>/dev/null) || continue
    case $command in
      '' | podman\ * | catatonit* | */catatonit* | */conmon\ * | */pasta* | */slirp4netns* | */fuse-overlayfs* | rootlessport* | */aardvark-dns*) ;;
      *) printf 'process %s: %s\n' "${pid#/proc/}" "$command" ;;
    esac
  done
}

# The engine of a lane that is up enough to be asked.
engine_to_ask() { # LANE
  case $1 in
    docker*) [ -S "$runtime/sock/$1.sock" ] ;;
    nerdctl) [ -S "$runtime/sock/containerd.sock" ] ;;
    # Root's podman has one store for the whole machine, which may have been somebody's before.
    podman) grep -qx podman-store "$journal" ;;
    *-rootless) [ -e "$state/lane-user" ] ;;
  esac || return 1
  if in_house "$1" && ! mountpoint -q "$house_ns"; then return 1; fi
  case $1 in docker*) echo docker ;; nerdctl) echo nerdctl ;; *) echo podman ;; esac
}

remove_containers() { # LANE
  local engine ids now=''
  engine=$(engine_to_ask "$1") || return 0
  [ "$engine" != podman ] || now='-t 0'
  ids=$(in_lane "$1" timeout 20 "$engine" ps -aq 2>/dev/null) && [ -n "$ids" ] || return 0
  # shellcheck disable=SC2086 # words
  in_lane "$1" timeout 60 "$engine" rm -f $now $ids >/dev/null
}

# Whatever still runs in the house or as the lane user: podman's pause process, conmon, what tests left.
end_processes() {
  local uid=none rest ns=none pid signal found
  [ ! -e "$state/lane-user" ] || read -r uid rest <"$state/lane-user"
  mountpoint -q "$house_ns" && ns="mnt:[$(stat -c %i "$house_ns")]"
  for signal in TERM TERM KILL; do
    found=''
    for pid in /proc/[0-9]*; do
      if [ "$(readlink "$pid/ns/mnt")" = "$ns" ] || [ "$(stat -c %u "$pid" 2>/dev/null)" = "$uid" ]; then
        # The daemons have lines of their own in the journal.
        grep -qs "^${pid#/proc/} " "$runtime"/pid/* && continue
        found=1
        kill -$signal "${pid#/proc/}" 2>/dev/null || true
      fi
    done
    [ -n "$found" ] || return 0
    sleep 0.5
  done
}

undo() { # ACTION ARGUMENTS: nothing is wrong with what is undone already
  local mode file
  case $1 in
    daemon) end_daemon "$2" ;;
    mount) if mountpoint -q "$2"; then umount "$2"; fi ;;
    link) if [ -d "/sys/class/net/$2" ]; then ip link del "$2"; fi ;;
    address) ip address del "$2/32" dev lo 2>/dev/null || true ;;
    private) if mountpoint -q "$2"; then mount --make-private "$2"; fi ;;
    folder) unmount_below "$2" && rm -rf --one-file-system "$2" ;;
    file) if podman_config | cmp -s - "$2"; then rm "$2"; fi ;;
    mode)
      read -r mode file <<<"$2"
      if [ -e "$file" ]; then chmod "$mode" "$file"; fi
      ;;
    forwarding)
      iptables-save | grep -v -E "$engine_rules" | iptables-restore
      iptables -P FORWARD "${2#* }"
      sysctl -qw "net.ipv4.ip_forward=${2% *}"
      ;;
    podman-store) unmount_below /var/lib/containers/storage ;;
    user) ;;
  esac
}

end_daemon() { # NAME
  local pid i rest
  for ((i = 0; i < 200; i++)); do
    daemon_alive "$1" || return 0
    read -r pid rest <"$runtime/pid/$1"
    if [ $i = 0 ]; then kill -TERM "$pid"; elif [ $i = 150 ]; then kill -KILL "$pid"; fi
    sleep 0.1
  done
  return 1
}

unmount_below() { # FOLDER: which may be a mount itself and then stays one
  local target
  findmnt -rn -o TARGET | tac | while read -r target; do
    case $target in "$1"/*) umount "$target" || umount -l "$target" ;; esac
  done
}

purge() {
  if grep -qx podman-store "$journal"; then
    in_lane podman podman system reset --force >/dev/null 2>&1 || true
  elif command -v podman >/dev/null; then
    in_lane podman podman rmi "${images[@]}" >/dev/null 2>&1 || true
  fi
  if grep -qx "user $lane_user" "$journal"; then userdel "$lane_user"; fi
  if findmnt -rn -o TARGET | grep -q "^$state/"; then die "something is still mounted in $state: not removed"; fi
  rm -rf --one-file-system "${state:?}"/*
  rmdir "$state" 2>/dev/null || true # it may be a mount
}
