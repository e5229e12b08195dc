#!/usr/bin/env bash
# Builds Foretell's image without a Docker engine, starts it unprivileged, and waits until it is ready: make image.
# Needs root, buildah, debootstrap and mosquitto of Debian. BASE names another base image than a debootstrap of bookworm;
# BUILD_ARGS are further arguments of buildah, such as: --build-arg TORCH_INDEX=URL --volume /wheels:/wheels:ro
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/build/image
mkdir -p "$work"
build() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }

if [ -z "${BASE:-}" ]; then
  [ -e "$work/base/usr/bin/python3" ] ||
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/base"
  container=$(build from scratch)
  build add --quiet "$container" "$work/base" / >/dev/null
  build commit --quiet --rm "$container" foretell-base >/dev/null
  BASE=localhost/foretell-base
fi
# shellcheck disable=SC2086 # BUILD_ARGS is a list
build bud --quiet --isolation chroot --format docker -f docker/Dockerfile --ignorefile docker/Dockerfile.dockerignore \
  --build-arg BASE="$BASE" ${BUILD_ARGS:-} -t foretell .
echo "image: $(build images --format '{{.Size}}' localhost/foretell)"

container=$(build from localhost/foretell)
root=$(build mount "$container")
mkdir -p "$root/etc/foretell" # what a container engine does before it mounts a file
printf 'mqtt: {port: 18830}\nmetrics: {port: 19464}\nstore: {path: /var/lib/foretell}\n' >"$work/edge.yaml"
printf 'listener 18830 127.0.0.1\nallow_anonymous true\n' >"$work/mosquitto.conf"
PATH=$PATH:/usr/sbin mosquitto -c "$work/mosquitto.conf" 2>"$work/mosquitto.log" &
broker=$!
# A file system that cannot be written, but for state and /tmp; user 1000, no capability, and no way to gain any.
unshare --mount --pid --fork --kill-child --ipc bash -euc '
  mount --make-rprivate / && mount --bind "$1" "$1"
  mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/tmp"
  mount -t tmpfs -o uid=1000,gid=1000,mode=0700 tmpfs "$1/var/lib/foretell"
  mount -t tmpfs tmpfs "$1/etc/foretell" && cp "$2" "$1/etc/foretell/edge.yaml" && chmod 644 "$1/etc/foretell/edge.yaml"
  mount --rbind /dev "$1/dev" && mount -o remount,bind,ro "$1"
  exec chroot "$1" setpriv --reuid 1000 --regid 1000 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \
    env -i PATH=/venv/bin:/usr/bin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 bash -c "
      grep -E \"^(Cap|NoNewPrivs|Uid)\" /proc/self/status
      touch /venv/x 2>&1 || true
      exec foretell run -c /etc/foretell/edge.yaml"
' - "$root" "$work/edge.yaml" >"$work/foretell.log" 2>&1 &
daemon=$!
trap 'kill -KILL $daemon; kill $broker; wait 2>/dev/null || true; build umount "$container" >/dev/null; build rm "$container" >/dev/null' EXIT
ask='import sys, urllib.request; print(urllib.request.urlopen("http://127.0.0.1:19464/readyz", timeout=2).read().decode().strip())'
for _ in $(seq 120); do
  if said=$(python3 -c "$ask" 2>/dev/null); then
    echo "/readyz: $said"
    grep -E '^(Cap|NoNewPrivs|Uid)|touch' "$work/foretell.log"
    exit 0
  fi
  sleep 1
done
tail -5 "$work/foretell.log" >&2
echo "/readyz did not answer within two minutes" >&2
exit 1
