# Turns the lab's text files into C strings: scenarios/lab/kafka/pom.xml becomes LAB_KAFKA_POM_XML.
function close_string() {
	if (is_open)
		print "\t\"\";\n"
	is_open = 0
}
BEGIN { print "/* made by scenarios/lab/embed.awk; not to be edited */\n" }
FNR == 1 {
	close_string()
	name = FILENAME
	sub(/.*scenarios\//, "", name)
	gsub(/[^A-Za-z0-9]/, "_", name)
	printf "static const char %s[] __attribute__((unused)) =\n", toupper(name)
	is_open = 1
}
{
	gsub(/\\/, "&&")
	gsub(/"/, "\\\"")
	printf "\t\"%s\\n\"\n", $0
}
END { close_string() }
