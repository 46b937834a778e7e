#!/bin/sh
# The tool shellcheck has nothing to say about any script.
. tests/lint/lib.sh

if ! command -v shellcheck >/dev/null; then
	echo "shellcheck is not installed"
	exit 77
fi
sh_files | xargs shellcheck -x -f gcc
