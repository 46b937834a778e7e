#!/bin/sh
# clang-format 14 has nothing to change. (Other versions format differently.)
. tests/lint/lib.sh

tool=''
for candidate in clang-format-14 clang-format; do
	if command -v "$candidate" >/dev/null && "$candidate" --version | grep -q 'version 14\.'; then
		tool=$candidate
		break
	fi
done
if [ -z "$tool" ]; then
	echo "clang-format 14 is not installed"
	exit 77
fi
c_files | xargs "$tool" --dry-run -Werror 2>&1 | grep ': error: ' | sort -u -t: -k1,1 |
	sed 's/: error: .*/: not formatted: make format/' | grep . && exit 1
exit 0
