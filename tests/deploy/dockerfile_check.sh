#!/usr/bin/env bash
# Runs the steps of docker/Dockerfile without an engine, in Debian roots made by debootstrap, and
# starts the server in the last one as the image's user. Needs root, debootstrap, 3 GB below $TMPDIR
# and many minutes: everything is compiled. Not part of tests/run.sh.
set -euo pipefail

usage() {
  cat <<'TXT'
usage: tests/deploy/dockerfile_check.sh [--base ROOT] [--keep]

  --base ROOT   use this root made by `debootstrap --variant=minbase bookworm ROOT MIRROR`
  --keep        leave the roots there

The mirror is the first one in this machine's /etc/apt.
TXT
}

base=
keep=0
while (($#)); do
  case "$1" in
    --base) base=$2; shift 2 ;;
    --keep) keep=1; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
((EUID == 0)) || { echo "dockerfile_check.sh: needs root for chroot" >&2; exit 2; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
finish() {
  # Mounts first: nothing below /proc is ever deleted.
  awk -v work="$work/" 'index($2, work) == 1 { print $2 }' /proc/mounts | tac | xargs -r -n1 umount
  if ((keep)); then echo "kept: $work"; else rm -rf --one-file-system "$work"; fi
}
trap finish EXIT

if [[ -z $base ]]; then
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2> /dev/null |
    sed -nE 's/^(URIs:|deb (\[[^]]*\] )?) *([^ ]+).*/\3/p' | head -n1)
  base=$work/base
  debootstrap --variant=minbase bookworm "$base" "$mirror" > "$work/debootstrap.log" ||
    { tail "$work/debootstrap.log" >&2; exit 1; }
fi
/usr/bin/python3 "$here/dockerfile_steps.py" "$base" "$work"
