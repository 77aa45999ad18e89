#!/bin/sh
# Makes a virtual environment with a Python that the pinned versions are built for:
#   install/venv.sh .venv [PYTHON]
# Unless one is named it is python3, or the newest python3.N if that one does not fit. An environment
# that is there already stays. What is missing is told in a line each, before pip spends minutes;
# of cmake pip fetches its own where the system has none.
set -u
venv=$1
named=${2:-}

served=$(sed -n 's/.*"Programming Language :: Python :: \(3\.[0-9]*\)".*/\1/p' \
  "$(dirname "$0")/../pyproject.toml" | sort -t. -k2nr)
newest=$(echo "$served" | head -n 1)
oldest=$(echo "$served" | tail -n 1)

# A Python's version as in `served`, followed by what sets it apart from the one that wheels are for.
kind() {
  "$1" -c '
import platform, sys, sysconfig
words = ["%d.%d" % sys.version_info[:2]]
if platform.python_implementation() != "CPython":
    words.append("of " + platform.python_implementation())
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    words.append("without its global lock")
if sys.maxsize < 2**32:
    words.append("of 32 bits")
print(" ".join(words))' 2>/dev/null
}

fits() {
  echo "$served" | grep -qxF -- "$(kind "$1")"
}

candidates() {
  if [ -n "$named" ]; then
    echo "$named"
  else
    echo python3
    echo "$served" | sed 's/^/python/'
  fi
}

chosen() {
  candidates | while read -r each; do
    if fits "$each" </dev/null; then
      echo "$each"
      break
    fi
  done
}

tell() {
  echo "$1" >&2
  echo "  $2" >&2
}

no_python() {
  first=${named:-python3}
  is=$(kind "$first")
  tell "Python $oldest to $newest is needed, and $first ${is:+is }${is:-does not run here}" \
    "Debian 12, Ubuntu 24.04 or later: apt install python3 python3-venv; one of pyenv, uv or conda is named \
so: make PYTHON=/path/to/python$newest"
}

# When the system gets another Python, an environment made before is left without its packages.
is_made() {
  "$venv/bin/python" -c 'import pip' 2>/dev/null
}

check_made() {
  is=$(kind "$venv/bin/python")
  if ! fits "$venv/bin/python" || { [ -n "$named" ] && [ "$(kind "$named")" != "$is" ]; }; then
    tell "$venv is of Python $is${named:+, and $named is $(kind "$named")}" \
      "\`make clean\` removes it; the next make makes it anew"
    exit 1
  fi
}

can_make_environments() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return
  tell "$1 cannot make virtual environments" \
    "Debian, Ubuntu: apt install python3-venv, or python$(kind "$1")-venv beside the system's own"
  false
}

can_compile() {
  # These are the names that cmake tries.
  if [ -n "${CXX:-}" ]; then set -- "$CXX"; else set -- c++ g++ clang++; fi
  for compiler in "$@"; do
    # shellcheck disable=SC2086 # CXX may hold options
    echo '#include <vector>' | $compiler -x c++ -std=c++17 -fsyntax-only - 2>/dev/null && return
  done
  tell "llama.cpp is compiled here, and no C++ compiler works: $*" \
    "Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install"
  false
}

if is_made; then
  check_made
  exit 0
fi
python=$(chosen)
missing=0
if [ -z "$python" ]; then
  no_python
  missing=1
else
  can_make_environments "$python" || missing=1
fi
can_compile || missing=1
[ "$missing" = 0 ] || exit 1
echo "$venv: made with $python, which is Python $(kind "$python")"
exec "$python" -m venv --clear "$venv"
