#!/bin/sh
# Finds a Python that can make virtual environments (or installs Debian's package for it), and lets
# it make .venv. Nothing but a shell is needed for this.
set -eu
umask 022 # the servers' user must be able to read what is installed
cd "$(dirname "$0")/../.."

give_up() { printf '%s\n' "$@" >&2; exit 1; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
makes_venvs() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

# The system's Python first: the servers' user can reach it on every machine.
choose_python() {
  for candidate in /usr/bin/python3 "$(command -v python3 || true)"; do
    if [ -n "$candidate" ] && is_new_enough "$candidate" && makes_venvs "$candidate"; then
      echo "$candidate"
      return
    fi
  done
}

# Debian keeps the module venv in a package of its own.
install_venv_module() {
  is_new_enough /usr/bin/python3 && command -v apt-get >/dev/null || return 0
  if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    give_up "Python's venv module is missing. Run: sudo apt-get install -y python3-venv"
  fi
  echo "    installing python3-venv (Python can't make virtual environments without it)" >&2
  $as_root apt-get update -qq && $as_root apt-get install -y -qq python3-venv >/dev/null ||
    give_up "apt-get could not install python3-venv. Check the network and /etc/apt, then try again."
}

python=$(choose_python)
if [ -z "$python" ]; then
  install_venv_module
  python=$(choose_python)
fi
[ -n "$python" ] || give_up "Python 3.11 or newer with venv is needed, and none was found." \
  "Run: sudo apt-get install -y python3 python3-venv"

exec "$python" -m deploy.embedded.virtualenv
