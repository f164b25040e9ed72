# shellcheck shell=bash disable=SC2154
# `testbed up`: see ../testbed, which sources this.

base_images=$state/images
journal=$state/journal
project=$(cd "$scripts/../.." && pwd) # the folder that holds the checkout and its siblings

host_packages=(uidmap iptables iproute2 util-linux) # what each lane's part is added to
podman_packages=(podman crun netavark aardvark-dns fuse-overlayfs slirp4netns)
docker_packages=(docker.io)
nerdctl_packages=(containernetworking-plugins containerd runc)
house_packages=(ca-certificates podman crun netavark aardvark-dns passt slirp4netns fuse-overlayfs uidmap docker.io
  docker-cli docker-buildx iptables procps iproute2 python3-minimal git runsc)
# The house's own bridges: docker's, podman's.
bridge=jbr26
bridge_address=172.31.26.1/24
podman0_address=10.88.0.1/16 # podman's default
podman_bridge=jbr5
podman_subnet=172.31.27.0/24
engine_rules='DOCKER|docker0|NETAVARK|CNI-|podman0|nerdctl0|jbr26|jbr5|10\.88\.0\.0' # in iptables-save

# Notes what is done, for `down` to undo. Once per line: `up` is run many times.
note() { grep -qxsF -- "$*" "$journal" || printf '%s\n' "$*" >>"$journal"; }

# Runs a function as a step of its own: a process of its own, so that its first failing command ends it whatever the
# caller does with the outcome, a log of its own, one line on stderr. 9 is our lock, which is not for what stays behind.
step() { # LOG TITLE FUNCTION ARG…
  local log=$state/log/$1.log title=$2 start=$EPOCHREALTIME
  shift 2
  if "$scripts/testbed" _step "$@" >"$log" 2>&1 </dev/null 9>&-; then
    say "$title: $(seconds "$start")"
    sed -n 's/^WARNING/testbed: &/p' "$log" >&2
  else
    say "$title: FAILED after $(seconds "$start"); the end of $log:"
    tail -n 15 "$log" >&2
    return 1
  fi
}
_step() { "$@"; }

# What the builds of the base images and of the house need, first: they then run beside the rest.
apt_first() { # PACKAGE…
  apt-get update -qq || true # a broken third-party source is no reason to stop: the installation will tell
  apt_install "$@"
}

make_base_images() { "$scripts/base-images" make "$base_images"; }

make_house() {
  if mountpoint -q "$house_ns"; then
    echo 'the house is not the one that is wanted, and in use: testbed down, then up'
    return 1
  fi
  rm -rf --one-file-system "$house" "$house.new"
  mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io --include="$(IFS=, && printf %s "${house_packages[*]}")" \
    trixie "$house.new"
  printf '#!/bin/sh\nexec /usr/bin/runsc --ignore-cgroups --network=none "$@"\n' >"$house.new$runsc"
  chmod 755 "$house.new$runsc"
  house_stamp >"$house.new/etc/jitbox-house"
  mv "$house.new" "$house"
}
house_stamp() { printf '%s\n' "${house_packages[@]}"; }
house_made() { [ -e "$house/etc/jitbox-house" ] && [ "$(house_stamp)" = "$(cat "$house/etc/jitbox-house")" ]; }

podman_config() {
  cat <<'CONF'
# Written by the test bed. No systemd and no journald here, and crun may not raise limits without CAP_SYS_RESOURCE.
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
}

# How the registries are reached, as files: the caller's own and the machine's.
copy_settings() { # HOME
  local file
  for file in .npmrc .pip/pip.conf .config/pip/pip.conf .config/uv/uv.toml; do
    if [ ! -r ~/"$file" ] || [ -e "$1/$file" ]; then continue; fi
    install -D -m 600 ~/"$file" "$1/$file"
  done
}
house_settings() {
  local file npm_global=''
  # One network namespace with the host: rules of the same kind as there (dockerd's policy DROP would win over what
  # nftables accepts), and a bridge and addresses of its own for the default network.
  { podman_config && printf '[network]\nfirewall_driver = "iptables"\n'; } >"$house/etc/containers/containers.conf"
  mkdir -p "$house/etc/containers/networks"
  cat >"$house/etc/containers/networks/podman.json" <<JSON
{"name": "podman", "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9", "driver": "bridge",
 "network_interface": "$podman_bridge", "created": "2025-01-01T00:00:00Z", "subnets": [{"subnet": "$podman_subnet"}],
 "ipv6_enabled": false, "internal": false, "dns_enabled": false, "ipam_options": {"driver": "host-local"}}
JSON
  if command -v npm >/dev/null; then npm_global=$(npm config get globalconfig --prefix / 2>/dev/null || true); fi
  # The house's bundle gives way to the host's, which may have a company's CA in it.
  for file in /etc/ssl/certs/ca-certificates.crt "${SSL_CERT_FILE-}" "${NODE_EXTRA_CA_CERTS-}" /etc/pip.conf /etc/uv/uv.toml \
    "$npm_global" /etc/resolv.conf /etc/hosts; do
    [ -f "$file" ] || continue
    mkdir -p "$house${file%/*}"
    cp --remove-destination -L "$file" "$house$file"
  done
}

make_homes() {
  local lane
  if ! id -u "$lane_user" >/dev/null 2>&1; then
    useradd --create-home --home-dir "$state/home/podman-rootless" --shell /bin/bash "$lane_user"
    note user "$lane_user"
  fi
  local id
  for id in uid gid; do
    [ -e "/etc/sub$id" ] || touch "/etc/sub$id"
    grep -q "^$lane_user:" "/etc/sub$id" || usermod --add-sub"${id}s" 1000000-1065535 "$lane_user"
  done
  printf '%s %s\n' "$(id -u "$lane_user")" "$(id -g "$lane_user")" >"$state/lane-user"
  for lane in "${lanes[@]}"; do
    mkdir -p "$state/home/$lane"
    chmod 700 "$state/home/$lane"
    copy_settings "$state/home/$lane"
    case $lane in
      *-rootless)
        mkdir -p "$state/home/$lane/.config/containers"
        [ -e "$state/home/$lane/.config/containers/storage.conf" ] ||
          printf '[storage]\ndriver = "overlay"\n' >"$state/home/$lane/.config/containers/storage.conf"
        # Not the store: its files belong to the sub-ids.
        chown "$lane_user": "$state/home/$lane"
        find "$state/home/$lane" -path '*/.local' -prune -o -exec chown -h "$lane_user": {} +
        ;;
    esac
  done
  mkdir -p "$state/bin/docker"
  ln -sfn /usr/bin/docker "$state/bin/docker/docker"
}

runtime_folders() { # UID GID LANE…: every lane's XDG_RUNTIME_DIR, the rootless ones' where podman expects it
  local uid=$1 gid=$2 lane
  shift 2
  for lane; do install -d -m 700 "/run/jitbox-testbed/user/$lane"; done
  [ -d "/run/user/$uid" ] || install -d -m 700 -o "$uid" -g "$gid" "/run/user/$uid"
}

make_device() { # FILE: usable by everyone
  local mode
  [ -e "$1" ] || return 0
  mode=$(stat -c %a "$1")
  [ "$mode" = 666 ] && return
  note mode "$mode" "$1"
  chmod 666 "$1"
}

set_up_host() {
  local target uid gid
  make_homes
  read -r uid gid <"$state/lane-user"
  runtime_folders "$uid" "$gid" docker podman nerdctl
  note_network
  serve_address
  note folder "/run/user/$uid"
  if [ ! -e /etc/containers/containers.conf ]; then
    mkdir -p /etc/containers
    podman_config >/etc/containers/containers.conf
    note file /etc/containers/containers.conf
  fi
  make_device /dev/fuse
  make_device /dev/net/tun
  # crun wants every cgroup v1 controller mounted.
  if [ "$(stat -f -c %T /sys/fs/cgroup)" = tmpfs ] && grep -q '^hugetlb.*1$' /proc/cgroups &&
    ! mountpoint -q /sys/fs/cgroup/hugetlb; then
    mkdir -p /sys/fs/cgroup/hugetlb
    mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb
    note mount /sys/fs/cgroup/hugetlb
  fi
  # podman wants to share its mounts.
  if ! findmnt -n -o PROPAGATION / | grep -q shared; then
    while read -r target; do note private "$target"; done < <(findmnt -rn -o TARGET,PROPAGATION | awk '$2 == "private" {print $1}')
    mount --make-rshared /
  fi
  for target in "$state/home" "$scripts"; do
    setpriv --reuid "$uid" --regid "$gid" --clear-groups test -x "$target" ||
      echo "WARNING: $target is out of the lane user's reach: the rootless lanes will not work"
  done
}

daemon() { # NAME CMD…: starts a daemon that outlives us and holds none of our files
  local name=$1
  shift
  setsid env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null >>"$state/log/$name.log" 2>&1 &
  printf '%s %s\n' $! "$(started $!)" >"$runtime/pid/$name"
  note daemon "$name"
}
daemon_alive() { # NAME: and not another process that got its number
  local pid time
  read -r pid time <"$runtime/pid/$1" && [ "$(started "$pid")" = "$time" ]
} 2>/dev/null
started() { # PID: its start time
  sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

await() { # SECONDS CMD…
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "no answer: $*"; return 1; }
    sleep 0.1
  done
}

# An address of this machine that no container has, for servers of the tests': passt gives containers the machine's own.
serve_address() {
  ip -o address show dev lo | grep -q " $served/32 " && return
  ip address add "$served/32" dev lo
  note address "$served"
}

# The engines turn forwarding on, write packet filter rules and make bridges, all of which stay when they go.
note_network() {
  local link
  for link in docker0 podman0 nerdctl0 "$bridge" "$podman_bridge" "$keep_port"; do
    [ -d "/sys/class/net/$link" ] || note link "$link"
  done
  grep -qs ^forwarding "$journal" || iptables-save | grep -q -E "$engine_rules" ||
    note forwarding "$(sysctl -n net.ipv4.ip_forward)" "$(iptables -S FORWARD | awk '$1 == "-P" {print $3}')"
}

# A bridge whose address stays. By default it is the lowest of its ports': as containers come and go it changes, and the
# others on it lose their gateway for up to 100 s. docker sets it on its own bridge, netavark since 1.9 (its pull request 833).
steady_bridge() { # NAME ADDRESS NUMBER
  if [ ! -d "/sys/class/net/$1" ]; then
    ip link add "$1" type bridge
    ip addr add "$2" dev "$1"
  fi
  ip link set dev "$1" address "02:6a:62:00:00:$3" up
}
# netavark removes a bridge with the last container, unless it has another port.
steady_podman_bridge() {
  steady_bridge podman0 $podman0_address 01
  [ -d "/sys/class/net/$keep_port" ] || ip link add "$keep_port" master podman0 type veth peer name "$keep_port-"
}

start_dockerd() {
  if ! daemon_alive docker; then
    rm -f "$runtime/dockerd.pid"
    mkdir -p "$state/docker"
    echo '{}' >"$state/dockerd.json" # not the machine's own /etc/docker/daemon.json
    daemon docker dockerd --config-file "$state/dockerd.json" --data-root "$state/docker" --exec-root "$runtime/docker" \
      --host "unix://$runtime/sock/docker.sock" --pidfile "$runtime/dockerd.pid"
  fi
  await 30 in_lane docker docker version
  local uid gid
  read -r uid gid <"$state/lane-user"
  install -d -o "$uid" -g "$gid" "$state/home/docker-user"
  copy_settings "$state/home/docker-user"
  chown -hR "$uid:$gid" "$state/home/docker-user"
  printf '%s %s %s\n' "$uid" "$gid" "$(stat -c %g "$runtime/sock/docker.sock")" >"$state/docker-user"
}

open_house() {
  local uid gid id processor
  read -r uid gid <"$state/lane-user"
  if [ -e "$house_ns" ] && mountpoint -q "$house_ns"; then
    if grep -qxF "$project" "$runtime/house-binds"; then return; fi
    # Opened for another checkout. Where nothing is left running in it, it is simply opened anew.
    if daemon_alive docker-buildkit || house_processes | grep -q .; then
      echo "the house is in use and does not see $project: testbed down, then up"
      return 1
    fi
    umount "$house_ns"
  fi
  house_settings
  if ! grep -q "^$lane_user:" "$house/etc/passwd"; then
    chroot "$house" groupadd --gid "$gid" "$lane_user"
    chroot "$house" useradd --no-create-home --home-dir "$state/home/podman5-rootless" --shell /bin/bash --uid "$uid" --gid "$gid" "$lane_user"
  fi
  for id in uid gid; do grep "^$lane_user:" "/etc/sub$id" >"$house/etc/sub$id"; done
  # A mount of its own that is private: a mount namespace can only be kept by a file in such a one.
  mkdir -p "$runtime/ns"
  mountpoint -q "$runtime/ns" || mount --bind "$runtime/ns" "$runtime/ns"
  mount --make-private "$runtime/ns"
  note mount "$runtime/ns"
  touch "$house_ns"
  printf '%s\n' /proc /sys /dev /tmp "$project" "$state/home" "$base_images" "$runtime/sock" | awk '!seen[$0]++' >"$runtime/house-binds"
  # The kernel only lets a namespace be kept by a file in an older one, and since 6.18 "older" can come out wrong between
  # two that were made on different processors, so each gets its try.
  for processor in $(seq 0 $(($(nproc --all) - 1))); do
    if taskset -c "$processor" unshare --mount="$house_ns" --propagation private true; then break; fi
  done
  note mount "$house_ns"
  # A real pivot_root: podman does not work in a plain chroot.
  # shellcheck disable=SC2016 # for the inner shell
  nsenter --mount="$house_ns" sh -ec '
    mount --bind "$1" "$1"
    mount -t tmpfs -o mode=755 tmpfs "$1/run"
    while read -r dir; do
      mkdir -p "$1$dir"
      mount --rbind "$dir" "$1$dir"
    done <"$2"
    mkdir -p "$1/.old"
    cd "$1"
    pivot_root . .old
    umount -l /.old
    mount --make-rshared /' sh "$house" "$runtime/house-binds"
  nsenter --mount="$house_ns" -- bash -ec "$(declare -f runtime_folders)"'; runtime_folders "$@"' bash "$uid" "$gid" docker-buildkit podman5
}

house_processes() {
  local pid ns
  ns="mnt:[$(stat -c %i "$house_ns")]"
  for pid in /proc/[0-9]*; do [ "$(readlink "$pid/ns/mnt")" != "$ns" ] || printf '%s\n' "${pid#/proc/}"; done
}

start_house_dockerd() {
  if ! daemon_alive docker-buildkit; then
    # With `--bridge none` it would delete the first daemon's docker0.
    steady_bridge "$bridge" $bridge_address 02
    rm -f "$runtime/sock/docker-buildkit.pid"
    daemon docker-buildkit nsenter --mount="$house_ns" -- dockerd --host "unix://$runtime/sock/docker-buildkit.sock" \
      --pidfile "$runtime/sock/docker-buildkit.pid" --bridge "$bridge"
  fi
  await 30 in_lane docker-buildkit docker version
}

load_images() { # LANE
  local engine=podman line
  case $1 in docker*) engine=docker ;; nerdctl) engine=nerdctl ;; esac
  lane_line "$1"
  "$scripts/base-images" load "$base_images" "${line[@]}" "$engine"
}

check_lane() { lane_up "$1"; }

wants() { # whether one of these lanes is wanted
  local lane
  for lane; do case " ${wanted[*]} " in *" $lane "*) return 0 ;; esac done
  return 1
}

up() {
  local start=$EPOCHREALTIME lane wanted=() all missing failed=()
  for lane; do is_lane "$lane" || die "no lane $lane"; done
  [ $# -gt 0 ] || set -- "${lanes[@]}"
  for lane; do
    [ "$lane" != gvisor ] || lane=podman5
    [ "$lane" != docker-user ] || lane=docker
    if [ "$lane" = nerdctl ] && [ -z "$(nerdctl_dir)" ]; then
      say 'lane nerdctl: absent, there is no nerdctl on PATH or in JITBOX_NERDCTL_DIR'
      continue
    fi
    wanted+=("$lane")
  done
  all=${wanted[*]}
  mkdir -p "$state"/{log,home} "$runtime"/{sock,user,pid}
  chmod 755 "$state" "$state/home" "$runtime"
  exec 9>"$runtime/lock"
  flock 9
  # Before any podman command makes it: whether root's podman store may have somebody else's containers in it.
  [ -e /var/lib/containers/storage ] || note podman-store
  missing=$(lanes_up "${wanted[@]}" 9>&- | grep -vxFf - <(printf '%s\n' "${wanted[@]}") || true)
  if [ -n "$missing" ]; then
    mapfile -t wanted <<<"$missing"
    bring_up
  fi
  if [ ${#failed[@]} -gt 0 ]; then
    mapfile -t missing < <(printf '%s\n' "${failed[@]}" | grep -xFf <(printf '%s\n' "${wanted[@]}") | sort -u)
    die "not up: ${missing[*]}"
  fi
  say "up: $all ($(seconds "$start"))"
}

# The order is about time on two cores: the base images and the house are made beside the installation of the packages.
bring_up() {
  local house_job='' images_job='' packages_job='' first packages=("${host_packages[@]}")
  if wants podman podman-rootless; then packages+=("${podman_packages[@]}"); fi
  if wants docker; then packages+=("${docker_packages[@]}"); fi
  if wants nerdctl; then packages+=("${nerdctl_packages[@]}"); fi
  mapfile -t first < <(missing_for_images)
  [ ${#first[@]} -eq 0 ] || step apt-first 'apt: what builds images' apt_first "${first[@]}" || die 'can not go on'
  if [ ! -s "$base_images/python.tar" ]; then
    step base-images 'base images' make_base_images & images_job=$!
  fi
  if wants docker-buildkit podman5 podman5-rootless && ! house_made; then
    step house 'the house' make_house & house_job=$!
  fi
  if ! installed "${packages[@]}"; then
    step apt 'apt: engines' apt_install "${packages[@]}" & packages_job=$!
  fi
  [ -z "$packages_job" ] || wait "$packages_job" || die 'can not go on'
  step host 'host: user, mounts, settings' set_up_host || die 'can not go on'
  if wants podman; then step podman-bridge "podman's bridge" steady_podman_bridge || failed+=(podman); fi
  if wants docker; then step dockerd 'dockerd' start_dockerd || failed+=(docker); fi
  if [ -n "$images_job" ]; then wait "$images_job" || die 'can not go on'; fi
  if wants nerdctl; then step nerdctl 'containerd, buildkitd' start_nerdctl || failed+=(nerdctl); fi
  load_lanes docker podman podman-rootless nerdctl
  if wants docker-buildkit podman5 podman5-rootless; then
    if { [ -z "$house_job" ] || wait "$house_job"; } && step open-house 'the house opened' open_house; then
      if wants docker-buildkit; then step dockerd-buildkit 'dockerd in the house' start_house_dockerd || failed+=(docker-buildkit); fi
      load_lanes docker-buildkit podman5 podman5-rootless
    else
      failed+=(docker-buildkit podman5 podman5-rootless)
    fi
  fi
}

load_lanes() { # those of LANE… that are wanted, side by side
  local lane
  local -A jobs=()
  for lane; do
    if ! wants "$lane" || [[ " ${failed[*]-} " = *" $lane "* ]]; then continue; fi
    step "load-$lane" "lane $lane" load_and_check "$lane" & jobs[$lane]=$!
  done
  for lane in "${!jobs[@]}"; do wait "${jobs[$lane]}" || failed+=("$lane"); done
}
load_and_check() { load_images "$1"; lane_up "$1"; }
