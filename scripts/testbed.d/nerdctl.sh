# shellcheck shell=bash disable=SC2154
# The nerdctl lane: containerd and buildkitd of our own, see ../testbed, which sources this.

start_nerdctl() {
  local dir=$state/nerdctl path
  mkdir -p "$dir/cni" "$state/bin"
  ln -sfn "$(nerdctl_dir)" "$state/bin/nerdctl"
  path=$state/bin/nerdctl:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  cat >"$dir/containerd.toml" <<TOML
version = 3
root = "$dir/containerd"
state = "$runtime/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri"]
[grpc]
address = "$runtime/sock/containerd.sock"
TOML
  cat >"$dir/buildkitd.toml" <<TOML
root = "$dir/buildkit"
[grpc]
address = ["unix://$runtime/sock/buildkitd.sock"]
[worker.oci]
enabled = false
[worker.containerd]
# The only worker that finds the base images, which no registry has, in FROM.
enabled = true
address = "$runtime/sock/containerd.sock"
namespace = "default"
TOML
  cat >"$dir/nerdctl.toml" <<TOML
address = "$runtime/sock/containerd.sock"
namespace = "default"
data_root = "$dir/data"
cni_path = "/usr/lib/cni"
cni_netconfpath = "$dir/cni"
cgroup_manager = "cgroupfs"
TOML
  if ! daemon_alive containerd; then
    daemon containerd env PATH="$path" containerd --config "$dir/containerd.toml"
  fi
  await 30 in_lane nerdctl nerdctl version
  if ! daemon_alive buildkitd; then
    daemon buildkitd env PATH="$path" buildkitd --config "$dir/buildkitd.toml"
  fi
  await 30 in_lane nerdctl buildctl debug workers
}
