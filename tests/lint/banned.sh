#!/bin/sh
# Functions without bounds or not safe in threads, comments and marks that do not belong in a commit,
# names of the machine it was written on. Texts in quotes count for the marks and names only.
. tests/lint/lib.sh

failed=0

# shellcheck disable=SC2016 # awk's own $0
number='{ print FILENAME ":" FNR ":" $0 }'
# "file:line:text" of all code with its string literals emptied, and without the // of URLs.
code=$(c_files | xargs awk '{ gsub(/"([^"\\]|\\.)*"/, "\"\""); gsub(/:\/\//, ":") }'"$number")
# and of all text, but for these rules themselves
text=$({ c_files; sh_files; } | grep -v '^tests/lint/' | xargs awk "$number")

# ban LINES PATTERN (extended regular expression, on the text of a line) REASON
ban() {
	hits=$(printf '%s\n' "$1" | grep -E -- "^[^:]*:[0-9]+:(.*)($2)" | cut -d: -f1,2)
	[ -z "$hits" ] && return
	failed=1
	printf '%s\n' "$hits" | sed "s|\$|: $3|"
}

call() {
	ban "$code" "(:|[^A-Za-z0-9_])$1[[:space:]]*\\(" "$1() is banned: $2"
}

call strcpy "no bound"
call strcat "no bound"
call sprintf "no bound"
call vsprintf "no bound"
call gets "no bound"
call alloca "no bound"
call strtok "not safe in threads: strtok_r"
call localtime "not safe in threads: localtime_r"
call gmtime "not safe in threads: gmtime_r"
call asctime "not safe in threads"
call ctime "not safe in threads"
call atoi "no errors: units_parse_*() or strtol"
call atol "no errors: units_parse_*() or strtol"
call system "a shell: proc_run()"
call popen "a shell: proc_run()"
call tmpnam "a race: mkstemp"
call mktemp "a race: mkstemp"
ban "$code" '//' "a // comment"
ban "$text" '(:|[^A-Za-z0-9_\])(TODO|FIXME|XXX)([^A-Za-z0-9_]|$)' "a mark of unfinished work"
ban "$text" '/(home|Users)/[a-z]+/|/work/|/root/' "a path of somebody's machine"
# blanks that diffs trip over
ban "$text" '[[:blank:]]$' "blanks at the end of the line"
exit $failed
