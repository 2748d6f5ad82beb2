#!/bin/sh
# Check the tools that pip can't install: as root, install the missing ones; otherwise name them.
#
#   tools.sh build           a C++ compiler, make and perl, for Verilator
#   tools.sh venv PYTHON     the packages that `PYTHON -m venv` needs
#   tools.sh library PYTHON  the shared libpython that cocotb loads into the simulator
#   tools.sh browser         Chromium, for the tests of pages: installed if CI=true, else the command is shown
set -eu

install() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing: $*"
        apt-get update -qq </dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" </dev/null >/dev/null
    else
        echo "missing: $*; install with: sudo apt-get install $*" >&2
        exit 1
    fi
}

case $1 in
build)
    missing=
    for tool in g++ make perl; do
        command -v "$tool" >/dev/null || missing="$missing $tool"
    done
    # shellcheck disable=SC2086  # one word each
    [ -z "$missing" ] || install $missing
    ;;
venv)
    "$2" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "Python 3.11 or newer not found; install it, or name it: make setup PYTHON=/path/to/python3" >&2
        exit 1
    }
    "$2" -c 'import ensurepip, venv' 2>/dev/null || install "$("$2" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
    ;;
library)
    [ -n "$("$2" -m find_libpython)" ] || install "$("$2" -c 'import sys; print("libpython3.%d" % sys.version_info[1])')"
    ;;
browser)
    if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
        if [ "${CI:-}" = true ]; then
            install chromium chromium-driver
        else
            echo "without Chromium the tests in a browser are skipped: sudo apt-get install chromium chromium-driver"
        fi
    fi
    ;;
esac
