# Turns the .sql files into C strings: core/ledger/sql/judge.sql becomes SQL_JUDGE.
# A line "-- name: x" inside a file starts a string of its own: SQL_X.
function open_string(name) {
	close_string()
	printf "static const char SQL_%s[] __attribute__((unused)) =\n", toupper(name)
	is_open = 1
}
function close_string() {
	if (is_open)
		print "\t\"\";\n"
	is_open = 0
}
BEGIN { print "/* made by core/ledger/embed.awk from core/ledger/sql; not to be edited */\n" }
FNR == 1 {
	close_string()
	base = FILENAME
	sub(/.*\//, "", base)
	sub(/\.sql$/, "", base)
	gsub(/[^a-z0-9]/, "_", base)
}
/^-- name: / { open_string($3); next }
{
	if (!is_open) {
		if ($0 ~ /^[ \t]*(--.*)?$/) next
		open_string(base)
	}
	gsub(/\\/, "\\\\\\\\")
	gsub(/"/, "\\\"")
	printf "\t\"%s\\n\"\n", $0
}
END { close_string() }
