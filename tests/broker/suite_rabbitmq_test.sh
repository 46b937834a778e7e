#!/usr/bin/env bash
# RabbitMQ's suite: see suite_test.sh. REPEAT (1), SUITE (quick).
# shellcheck source=suite_test.sh
BROKER=rabbitmq BAD=4 . "$(dirname "$0")/suite_test.sh"
