#!/bin/sh
# The tool shellcheck has nothing to say about any script.
. tests/lint/lib.sh

if ! command -v shellcheck >/dev/null; then
	echo "shellcheck is not installed"
	exit 77
fi
# Assertions of tests/lib.sh are called by traps and by name.
{ sh_files; ls .ci/run .ci/deps; } | xargs shellcheck -x -P SCRIPTDIR -S warning -e SC2317,SC2154 -f gcc
