#!/usr/bin/env bash
# Install the system packages the tests need (Debian, Ubuntu): a browser and PostgreSQL. Does nothing when they are there.
set -euo pipefail
missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
[ "${#missing[@]}" -gt 0 ] || exit 0
command -v apt-get >/dev/null || { echo "system-packages: no apt-get; install by hand: ${missing[*]}" >&2; exit 1; }
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
