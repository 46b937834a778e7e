#!/bin/sh
# Made by mqaudit lab up: one of RabbitMQ's own tools. It asks node 1, or that of --node: a name
# of the lab's will do.
. @NODE_FOLDER@/env.sh
nodes='@NODES@'
address() {
	for pair in $nodes; do
		case $pair in
		"$1="*) echo "${pair#*=}" && return ;;
		esac
	done
	echo "$1"
}
before=
for arg; do
	shift
	case $before in
	-n | --node) arg=$(address "$arg") ;;
	esac
	case $arg in
	--node=*) arg=--node=$(address "${arg#--node=}") ;;
	esac
	before=$arg
	set -- "$@" "$arg"
done
exec @HOME@/sbin/@TOOL@ "$@"
