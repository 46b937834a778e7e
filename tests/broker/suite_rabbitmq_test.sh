#!/usr/bin/env bash
# RabbitMQ's suite: see suite_test.sh. REPEAT (1).
# shellcheck source=suite_test.sh
BROKER=rabbitmq SUITE=${SUITE:-full} . "$(dirname "$0")/suite_test.sh"
