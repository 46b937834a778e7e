#!/bin/bash
# Documents that could drift: the man page, completion, the README and the examples, against the program.
. "$(dirname "$0")/lib.sh"

mapfile -t names < <(commands)
ok "there are commands" test "${#names[@]}" -ge 20

note the man page
"$mq" help --man >"$work/mqaudit.1"
is "man finds nothing wrong with it" "$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$work/mqaudit.1" 2>&1 >/dev/null)" ''
# "command option", a line each, from the sections of the page
printf '%s\n' "${names[@]}" >"$work/names"
sed -n 's/\\-/-/g; s/^\.SS "mqaudit \([^"]*\)"/=\1 /p; s/^\.SH OPTIONS OF EVERY.*/=every /p
	s/^\(\\fB-.\\fR, \)\{0,1\}\\fB--\([a-z-]*\)\\fR.*/\2/p' "$work/mqaudit.1" |
	awk 'NR == FNR { names[$0 " "]; next }
		/^=/ {
			command = "every"
			for (name in names)
				if (index(substr($0, 2), name) == 1 && (command == "every" || length(name) > length(command)))
					command = substr(name, 1, length(name) - 1)
			next
		}
		{ print command, $0 }' "$work/names" - | sort >"$work/in_man"
options_of runs delete | grep -vx ledger >"$work/common"
for name in "${names[@]}"; do
	# shellcheck disable=SC2086
	options_of $name | grep -vxFf "$work/common" | sed "s/^/$name /"
done | cat - <(sed 's/^/every /' "$work/common") | sort >"$work/in_help"
ok "the help has options" test "$(wc -l <"$work/in_help")" -ge 60
is "each option of each command is in it, once" "$(diff "$work/in_help" "$work/in_man")" ''
for name in "${names[@]}"; do
	grep -q "^\.SS \"mqaudit ${name}[ \"]" "$work/mqaudit.1" || echo "$name"
done >"$work/missing"
is "each command has a section" "$(<"$work/missing")" ''

note completion
for shell in bash zsh fish; do
	run help --completion "$shell"
	is "$shell: exit code" "$code" 0
	if command -v "$shell" >/dev/null; then
		case $shell in
		fish) parse=(fish --no-execute) ;;
		*) parse=("$shell" -n) ;;
		esac
		is "$shell can read it" "$("${parse[@]}" "$work/out" 2>&1)" ''
	else
		note "SKIP: no $shell here"
	fi
	while read -r command option; do
		grep -qE -- "(--|-l )$option( |'|$|\))" <<<"$out" || echo "$command --$option"
	done < <(sed 's/ \([a-z-]*\)$/\t\1/; s/^\([a-z]*\) /\1_/; s/\t/ /' "$work/in_help") >"$work/missing"
	is "$shell: each option is in it" "$(<"$work/missing")" ''
done
offers() { # TYPED-WORDS...: what bash completes the last one to
	bash -c 'eval "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mqaudit; echo "${COMPREPLY[*]}"' \
		- "$("$mq" help --completion bash)" mqaudit "$@"
}
is "bash completes a command" "$(offers lab fau)" fault
is "bash completes an option" "$(offers probe --create-t)" --create-topic

note the README and the examples
# The program itself reads each command line: help asked for at its end stops it before it does anything,
# and after all that stands before was read.
reads() { # WORDS...: a command line without the program's name
	local words=() word

	for word; do
		[ "$word" = -- ] && break
		words+=("$word")
	done
	run "${words[@]}" --help
	[ "$code" -eq 0 ]
}
ok "a right command line is read" reads run URL -n 10k --topic-config a=b
ok "a command line with an unknown option is not" test "$(reads run URL --no-such && echo read)" = ''
ok "a command line with a wrong value is not" test "$(reads run URL -d 10 && echo read)" = ''
ok "a command line of an unknown command is not" test "$(reads launch URL && echo read)" = ''

# Command lines in Markdown: in fenced blocks those that begin with the program's name, or a prompt or
# "More:" before it; elsewhere what is between backquotes, also over the end of a line.
command_lines() { # FILE
	perl -0777 -ne '
		while (/^```[a-z]*\n(.*?)^```/gms) {
			my $block = $1;
			print "$1\n" while $block =~ /^\s*(?:\$ |More: )?mqaudit (.*)$/gm;
		}
		s/^```.*?^```//gms;
		for (my $text = $_; $text =~ /`mqaudit ([^`]*)`/g;) {
			(my $line = $1) =~ s/\s*\n\s*/ /g;
			print "$line\n";
		}' "$1"
}
command_lines "$top/README.md" >"$work/lines"
ok "the README has command lines" test "$(wc -l <"$work/lines")" -ge 8
while read -r line; do
	read -ra words <<<"${line%%[|;&]*}"
	ok "README: mqaudit $line" reads "${words[@]}"
done <"$work/lines"

for name in "${names[@]}"; do
	# shellcheck disable=SC2086
	"$mq" help $name | sed -n '/^Examples:/,/^$/p'
done | grep -o 'mqaudit [^|;&)]*' | sed 's/^mqaudit //; s/ >>.*//; s/\$\$/1/' >"$work/lines"
ok "the help has examples" test "$(wc -l <"$work/lines")" -ge 20
while read -r line; do
	read -ra words <<<"$line"
	ok "example: mqaudit $line" reads "${words[@]}"
done <"$work/lines"

tr '\n' ' ' <"$top/README.md" >"$work/readme"
for name in "${names[@]}"; do
	grep -qE "\`mqaudit ${name}[\` ]" "$work/readme" || echo "$name"
done >"$work/missing"
is "the README names every command" "$(<"$work/missing")" ''

# an unknown property is answered with all that there are
"$mq" probe amqp://127.0.0.1:1/v/q -X nonsense=1 2>&1 | sed -n 's/^mqaudit: hint: there are //p' |
	tr -d ' ' | tr ',' '\n' >"$work/properties"
ok "a RabbitMQ client has properties" test "$(wc -l <"$work/properties")" -ge 15
while read -r name; do
	grep -qF "| \`$name\` |" "$top/README.md" || echo "$name"
done <"$work/properties" >"$work/missing"
is "the README names each of them" "$(<"$work/missing")" ''

done_testing
