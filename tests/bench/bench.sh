#!/usr/bin/env bash
# The bench with a ledger and a lab of its own: see bench.py for what can be chosen. The broker's log is
# kept in memory where there is room, so that it is not the disk that is measured; the ledger and the
# probe's journal stay on the disk.
set -eu
cd "$(dirname "$0")/../.."
umask 022
work=$(mktemp -d "${TMPDIR:-/tmp}/mqaudit-bench.XXXXXX")
memory=
trap 'rm -rf "$work" ${memory:+"$memory"}' EXIT
chmod 755 "$work"
export MQAUDIT_STATE=$work/state MQAUDIT_DIST=${MQAUDIT_DIST:-/var/cache/mqaudit/dist}
if [ "$(df --output=avail -k /dev/shm | tail -1)" -gt 8000000 ]; then
	memory=$(mktemp -d /dev/shm/mqaudit-bench.XXXXXX)
	mkdir "$work/state"
	ln -s "$memory" "$work/state/lab"
	export LOGS_ARE=memory
else
	export LOGS_ARE=disk
fi
PYTHONDONTWRITEBYTECODE=1 python3 tests/bench/bench.py
