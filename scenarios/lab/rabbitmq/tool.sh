#!/bin/sh
# shellcheck disable=SC1090 # made together with it
# Made by mqaudit lab up: one of RabbitMQ's own tools. It asks the first node, or that of --node, for which a
# name of the lab's will do. It lives where the node does: other nodes answer it there, by its address.
lab=@LAB_FOLDER@
target=@NODE@
name_of() {
	if [ -f "$lab/$1/env.sh" ]; then
		(. "$lab/$1/env.sh" && echo "$RABBITMQ_NODENAME")
	else
		echo "$1"
	fi
}
before=
for arg; do
	shift
	case $before in
	-n | --node)
		[ ! -f "$lab/$arg/env.sh" ] || target=$arg
		arg=$(name_of "$arg")
		;;
	esac
	case $arg in
	--node=*)
		[ ! -f "$lab/${arg#--node=}/env.sh" ] || target=${arg#--node=}
		arg=--node=$(name_of "${arg#--node=}")
		;;
	esac
	before=$arg
	set -- "$@" "$arg"
done
. "$lab/$target/env.sh"
exec nsenter --net="$netns" @HOME@/sbin/@TOOL@ "$@"
