#!/bin/sh
# Each header compiles alone, and has the guard DIR_FILE_H.
. tests/lint/lib.sh

cc=${CC:-cc}
failed=0
for header in $(c_files | grep '\.h$'); do
	guard=$(echo "$header" | tr 'a-z/.-' 'A-Z___')
	if ! grep -q "^#ifndef ${guard}\$" "$header" || ! grep -q "^#define ${guard}\$" "$header"; then
		echo "$header:1: the guard is not $guard"
		failed=1
	fi
	# shellcheck disable=SC2086 # flags are words
	if ! echo "#include \"$header\"" | $cc -std=c17 -D_GNU_SOURCE -I. ${CFLAGS:-} -Wall -Wextra \
		-Werror -fsyntax-only -x c -; then
		echo "$header:1: does not compile alone"
		failed=1
	fi
done
exit $failed
