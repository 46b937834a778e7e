#!/usr/bin/env bash
# Whatever is killed at whatever instant while nodes have disks of their own, `lab down` leaves no mount, loop
# device, process, namespace, route or file behind; a fault that was cut off is healed; and a disk that a stranger
# holds on to neither keeps the node from coming back, nor is it forgotten.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

kills=${KILLS:-3}
RANDOM=${SEED:-$$}
note "SEED=${SEED:-$$}"
all=(kafka1 kafka2 kafka3)
up=(lab up kafka --lab "$lab" --disk loop --disk-size 512M)

# Our processes: our state folder is in their arguments or, a guard's, in their environment.
ours() {
	local p
	for p in $(grep -laF "$MQAUDIT_STATE" /proc/[0-9]*/cmdline 2>/dev/null); do
		p=${p%/cmdline}
		[ -e "$p" ] && echo "${p#/proc/}" # not the grep
	done
	for p in $(grep -laF guard /proc/[0-9]*/cmdline 2>/dev/null); do
		p=${p%/cmdline}
		grep -zqxF "MQAUDIT_STATE=$MQAUDIT_STATE" "$p/environ" 2>/dev/null && echo "${p#/proc/}"
	done
}
claims() { # subnets that our labs hold
	local l
	for l in /run/mqaudit-lab/*; do
		case $(readlink "$l") in "$MQAUDIT_STATE"/*) echo "${l##*/}" ;; esac
	done
}
has_another() { # SUBNET: a test beside this one made a lab there when ours had gone
	local to
	to=$(readlink "/run/mqaudit-lab/$1") || return 1
	case $to in "$MQAUDIT_STATE"/*) false ;; esac
}
subnets=
leftovers() { # what the subnets' labs have left, a line each
	local n left
	losetup -a | grep -F "$MQAUDIT_STATE" | sed 's/^/loop /'
	grep -hF "$MQAUDIT_STATE" /proc/[0-9]*/mountinfo 2>/dev/null | sort -u | sed 's/^/mount /'
	ours | sed 's/^/process /'
	claims | sed 's/^/claim /'
	for n in $subnets; do
		left=$(ip netns | grep -o "^mqa-$n-[^ ]*" | sed 's/^/namespace /'
			ip -4 route show exact "198.18.$n.0/24" | sed 's/^/route /')
		[ -z "$left" ] || has_another "$n" || echo "$left"
	done
	find "$MQAUDIT_STATE/lab" -mindepth 1 2>/dev/null | sed 's/^/file /'
}
kinds() { leftovers | cut -d' ' -f1 | sort -u | paste -sd' '; }
down_leaves_nothing() { # NAME
	local seen code
	subnets="$subnets $(claims | paste -sd' ')"
	seen=$(kinds)
	"$mq" lab down --lab "$lab" >"$work/down.txt" 2>&1
	code=$?
	is "$1: down leaves nothing (there was: ${seen:-nothing})" "$code $(leftovers)" "0 "
}
nap_ms() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }
kill_up() { # MS: with its guard, which would clean up behind it
	local pid guard
	"$mq" "${up[@]}" >"$work/up.txt" 2>&1 &
	pid=$!
	nap_ms "$1"
	guard=$(pgrep -P "$pid" -f 'lab guard')
	# shellcheck disable=SC2086 # none or one
	kill -KILL $guard "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}
killed_after() { # MS COMMAND...
	local pid
	"$mq" "${@:2}" --lab "$lab" >"$work/killed.txt" 2>&1 &
	pid=$!
	nap_ms "$1"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}
node() { # NAME JQ
	"$mq" lab status kafka --lab "$lab" --format json | jq -r --arg n "$1" ".nodes[] | select(.name == \$n) | $2"
}

# ---- while it comes up: most of what there is appears in its first second --------------------------
for ((i = 0; i < kills * 2; i++)); do
	ms=$((i % 4 == 3 ? RANDOM % 5000 : RANDOM % 700))
	kill_up "$ms"
	down_leaves_nothing "up killed after $ms ms"
done

# ---- while the power is cut ----------------------------------------------------------------------
for ((i = 0; i < kills; i++)); do
	"$mq" "${up[@]}" >"$work/up.txt" 2>&1 || bail "the lab does not come up: $(tail -3 "$work/up.txt")"
	ms=$((RANDOM % 180))
	killed_after "$ms" lab fault powercut "${all[@]}"
	if [ "$i" -eq 0 ]; then
		more=$((RANDOM % 500))
		killed_after "$more" lab heal
		"$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>&1
		is "powercut killed after $ms ms, heal after $more ms: the next heal does it" \
			"$? $("$mq" lab status kafka --lab "$lab" --format json |
				jq -r '[.nodes[] | "\(.state) \(.answers) \(.disk_state)"] | unique | join(",")')" \
			"0 running true mounted"
	fi
	down_leaves_nothing "powercut killed after $ms ms"
done

# ---- held from outside ---------------------------------------------------------------------------
"$mq" "${up[@]}" >"$work/up.txt" 2>&1 || bail "the lab does not come up: $(tail -3 "$work/up.txt")"
exec 9<"/proc/$(node kafka1 .disk_pid)/root$(node kafka1 .disk_mount)"
"$mq" lab fault powercut kafka1 --lab "$lab" >"$work/fault.txt" 2>&1
is "a stranger holds the disk: the power is cut" $? 0
"$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>&1
is "... and it is healed" "$? $(node kafka1 '"\(.state) \(.disk_state)"')" "0 running mounted"
ok "... by a copy of the disk, which is said" grep -q 'held from outside: going on with a copy' "$work/heal.txt"
"$mq" lab down --lab "$lab" >"$work/down.txt" 2>&1
is "down does not forget the one that is held" "$? $(grep -c 'disk of kafka1 is held by a process outside' "$work/down.txt")" "3 1"
exec 9<&-
down_leaves_nothing "let go"
done_testing
