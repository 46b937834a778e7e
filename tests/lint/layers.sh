#!/bin/sh
# Who may include whom: core knows core only, each room core and itself, main.c everybody. A foreign
# library's header is included in one folder.
. tests/lint/lib.sh

# shellcheck disable=SC2016 # awk's own $0
c_files | xargs awk '
function bad(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what
	found = 1
}
FNR == 1 {
	room = FILENAME
	sub(/\/.*/, "", room)
	if (room == FILENAME)
		room = "" # main.c
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	target = $0
	sub(/^[^"]*"/, "", target)
	sub(/".*/, "", target)
	to = target
	sub(/\/.*/, "", to)
	if (target ~ /^\.\.?\//)
		bad("\"" target "\" is not written from the root")
	# made by the build, beside its users
	else if (target == "sql_data.h") {
		if (FILENAME !~ /^(core\/ledger|reporters)\//)
			bad("sql_data.h belongs to core/ledger and its readers, the reporters")
	} else if (target == "lab_data.h") {
		if (FILENAME !~ /^scenarios\/lab\//)
			bad("lab_data.h belongs to scenarios/lab")
	} else if (to == target)
		bad("\"" target "\" is not written from the root")
	else if (to == "tests" && room != "tests")
		bad(room " includes tests")
	else if (room == "core" && to != "core")
		bad("core includes " to)
	else if (room ~ /^(probe|checker|reporters|scenarios)$/ && to != "core" && to != room)
		bad(room " includes " to)
}
/^[ \t]*#[ \t]*include[ \t]*</ {
	target = $0
	sub(/^[^<]*</, "", target)
	sub(/>.*/, "", target)
	if (room == "tests")
		next
	if (target ~ /^librdkafka\// && FILENAME !~ /^core\/broker\//)
		bad("librdkafka is for core/broker only")
	if (target ~ /^(amqp|rabbitmq-c\/)/ && FILENAME !~ /^core\/broker\//)
		bad("rabbitmq-c is for core/broker only")
	if (target ~ /^curl\// && FILENAME !~ /^core\/broker\//)
		bad("libcurl is for core/broker only")
	if (target ~ /^openssl\// && FILENAME !~ /^core\/broker\//)
		bad("OpenSSL is for core/broker only")
	if (target ~ /^(libpq-fe\.h|libpq\/|postgresql\/)/ && FILENAME !~ /^core\/ledger\//)
		bad("libpq is for core/ledger only")
	if (target ~ /^(curses|ncurses|ncursesw|panel|form|menu|term)(\.h|\/)/ && FILENAME !~ /^reporters\/watch\//)
		bad("ncurses is for reporters/watch only")
}
END { exit found }'
