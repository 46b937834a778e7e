#!/usr/bin/env bash
# The rules of the house, as a TAP-less list: each check prints what it found, and the sum decides.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0

check() { # NAME OUTPUT: a check that found something fails
	if [ -n "$2" ]; then
		printf 'not ok - %s\n%s\n' "$1" "$2"
		failed=1
	else
		printf 'ok - %s\n' "$1"
	fi
}

files() { git ls-files -co --exclude-standard -- "$@" | sort -u; }
c_files=$(files '*.c' '*.h')

# the floor knows nobody; the rooms stand on it and never see each other
layers=
for f in $c_files; do
	room=${f%%/*}
	case $room in tests | main.c) continue ;; esac
	layers+=$(grep -nE '^#include "(core|probe|checker|reporters|scenarios|tests)/' "$f" |
		grep -vE "\"(core|$room)/" | sed "s|^|$f:|")
done
check 'no room includes another' "$layers"

# shellcheck disable=SC2086
check 'librdkafka is known in core/broker only' \
	"$(grep -ln '<librdkafka/' $c_files | grep -vE '^(core/broker/kafka|tests/)')"
# shellcheck disable=SC2086
check 'libpq is known in core/ledger only' "$(grep -ln '<libpq-fe.h>' $c_files | grep -v '^core/ledger/')"

headers=
for h in $(files '*.h' | grep -v '^tests/'); do
	guard=$(echo "$h" | tr 'a-z/.-' 'A-Z___')
	grep -q "^#ifndef $guard\$" "$h" || headers+="$h: no guard $guard"$'\n'
	# shellcheck disable=SC2086
	echo "#include \"$h\"" | ${CC:-gcc} -std=c17 -D_GNU_SOURCE -I. ${CFLAGS:-} -fsyntax-only -x c - 2>/dev/null ||
		headers+="$h: does not compile alone"$'\n'
done
check 'each header has its guard and compiles alone' "$headers"

# shellcheck disable=SC2086
check 'no banned function' \
	"$(grep -nE '\b(strcpy|strcat|sprintf|vsprintf|strtok|gets|alloca|localtime|gmtime|atoi|asctime|ctime)\(' $c_files)"
# shellcheck disable=SC2086
check 'no // comment, no left-over mark' "$(grep -nE '(^|[^:"])//|\b(TODO|FIXME|XXX|HACK)\b' $c_files | grep -vE '"[^"]*//|/\*.*//')"

if command -v ctags >/dev/null; then
	long=$(files '*.c' | xargs ctags -x --c-kinds=f --fields=+ne --_xformat='%{end} %n %N %F' 2>/dev/null |
		awk '{ n = $1 - $2; if (n > 100) print n " lines  " $4 ":" $2 "  " $3 }')
	check 'no function over 100 lines' "$long"
fi
if command -v shellcheck >/dev/null; then
	# shellcheck disable=SC2046
	check 'shellcheck is silent' "$(shellcheck -x -P SCRIPTDIR -S warning -e SC2317,SC2154 $(files '*.sh' '.ci/*') 2>&1)"
fi
exit "$failed"
