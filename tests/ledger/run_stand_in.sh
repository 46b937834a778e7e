#!/usr/bin/env bash
# Stands in for mqaudit's probe and check where `run` starts them (run_test.sh): writes down how it was called
# and does what $PLAY/probe or $PLAY/check say, in bash. Everything else is mqaudit's own business.
command=$1
case $command in
probe | check | recover) ;;
*)
	unset MQAUDIT_PROGRAM
	exec "$REAL" "$@"
	;;
esac
fd=2
for arg; do
	case $arg in --status-fd=*) fd=${arg#*=} ;; esac
done
printf '%s\n' "$@" | grep -v '^--status-fd=' >>"$PLAY/$command.args"
echo "$$" >>"$PLAY/$command.pid"
say() { printf '%b\n' "$*" >&"$fd"; }   # a status line
wait_for() { until [ -e "$PLAY/$1" ]; do sleep 0.05; done; }
# shellcheck source=/dev/null
. "$PLAY/$command"
