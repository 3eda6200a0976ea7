#!/usr/bin/env bash
# Installs what the tests run against, by Debian package. Without root or apt
# it says what is missing; the tests that need it say so too.
set -euo pipefail
packages=(zookeeper logrotate procps systemd-container dbus gdb elfutils strace nodejs iproute2 default-jdk-headless gcc g++ libc6-dev python3 redis-server chromium fonts-dejavu-core)
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed: ${missing[*]} (needs root and apt-get); the tests that need them will say so" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# Packages of daemons would start them; this machine is not theirs.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
