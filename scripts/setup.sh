#!/usr/bin/env bash
# Make .venv with the pinned packages. Says in plain words what is missing. Usage: scripts/setup.sh [--dev]
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
stamp=.venv/installed-$(cat requirements*.txt constraints.txt pyproject.toml | cksum | tr ' ' '-')${1:-}
[ -e "$stamp" ] && exit 0

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }
command -v "$PYTHON" >/dev/null || fail "no $PYTHON found. Install Python 3.11 or newer, or set PYTHON=/path/to/python."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$PYTHON" --version) is too old; Python 3.11 or newer is needed. Set PYTHON=/path/to/python."
free_mb=$(df -Pm . | awk 'NR == 2 {print $4}')
[ "$free_mb" -ge 3000 ] || fail "only $free_mb MB free on this disk; about 3,000 MB are needed. Free some space and run again."

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv ||
  fail "could not make .venv. On Debian and Ubuntu: apt install python3-venv."
requirements=requirements.txt
[ "${1:-}" = "--dev" ] && requirements=requirements-dev.txt
echo "setup: installing $requirements into .venv (about two minutes)"
log=.venv/pip.log
if ! .venv/bin/pip install --disable-pip-version-check --quiet -r "$requirements" -c constraints.txt >"$log" 2>&1 ||
   ! .venv/bin/pip install --disable-pip-version-check --quiet --no-deps --editable . >>"$log" 2>&1; then
  tail -n 5 "$log" >&2
  if grep -qiE 'no space left' "$log"; then fail "the disk is full. Free some space and run again."; fi
  if grep -qiE 'connection|resolve|network|timed out|no matching distribution' "$log"; then
    fail "pip could not reach a package index. Connect to a network (or point pip to a local index) and run again."
  fi
  fail "pip failed; the whole output is in $log."
fi
rm -f .venv/installed-*
touch "$stamp"
