#!/bin/sh
# No function of more than 100 lines; median and 95th percentile are shown by `functions.sh -v`.
. tests/lint/lib.sh

if ! ctags --version 2>/dev/null | grep -q 'Universal Ctags'; then
	echo "Universal Ctags is not installed"
	exit 77
fi
lengths=$(c_files | grep '\.c$' |
	xargs ctags -f - --kinds-C=f --fields=ne --excmd=number --languages=C |
	awk -F '\t' '{
		from = to = 0
		for (i = 4; i <= NF; i++) {
			if ($i ~ /^line:/) from = substr($i, 6)
			if ($i ~ /^end:/) to = substr($i, 5)
		}
		if (from && to) print to - from + 1, $2 ":" from ": " $1 "()"
	}' | sort -n)
if [ "${1:-}" = -v ]; then
	echo "$lengths" | awk '{ n[NR] = $1 } END { printf "%d functions: median %d lines, 95 %% within %d, longest %d\n",
		NR, n[int((NR + 1) / 2)], n[int(NR * 0.95)], n[NR] }'
fi
echo "$lengths" | awk '$1 > 100 { print $2, $3 " has " $1 " lines"; found = 1 } END { exit found }'
