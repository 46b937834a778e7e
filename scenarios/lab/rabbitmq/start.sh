#!/bin/sh
# Made by mqaudit lab up: starts the node @NODE@. Ends as the node itself (one process, by exec: its script
# would stay in between but for RUNNING_UNDER_SYSTEMD, and catch signals; as of 3.10).
. @NODE_FOLDER@/env.sh
export RUNNING_UNDER_SYSTEMD=true
# no busy waiting: three nodes share a machine with their clients
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none +sbwtdcpu none +sbwtdio none'
# nobody reads a dump, and the node's end would wait for it
export ERL_CRASH_DUMP_SECONDS=0
umask 077
epmd -daemon
exec @HOME@/sbin/rabbitmq-server
