#!/usr/bin/env bash
# The bench with a ledger and a lab of its own: see bench.py for what can be chosen.
set -eu
cd "$(dirname "$0")/../.."
umask 022
work=$(mktemp -d "${TMPDIR:-/tmp}/mqaudit-bench.XXXXXX")
chmod 755 "$work"
export MQAUDIT_STATE=$work/state MQAUDIT_DIST=${MQAUDIT_DIST:-/var/cache/mqaudit/dist}
trap 'rm -rf "$work"' EXIT
python3 tests/bench/bench.py
