#!/usr/bin/env python3
"""An AMQP client that has nothing of mqaudit's: it talks to one node, by pika.

usage: amqp.py HOST declare QUEUE [ARGUMENT=VALUE...]     durable; numbers are sent as such
       amqp.py HOST publish QUEUE COUNT [SECONDS]         persistent, each confirmed before the next;
                                                          after 20 it says "going" (stderr)
       amqp.py HOST drain QUEUE                           acks all that is there
       amqp.py HOST hello                                 a connection and a channel

Each prints what it did as one word or number, and fails when HOST does not answer within 5 s.
"""
import os
import sys
import time

import pika


def connect(host):
    p = pika.URLParameters(os.environ["RABBITMQ_URL"])
    p.host = host
    p.socket_timeout = p.stack_timeout = p.blocked_connection_timeout = 5
    p.connection_attempts = 1
    return pika.BlockingConnection(p)


def publish(channel, queue, count, seconds):
    """Up to count messages, for so long; says how many were confirmed."""
    channel.confirm_delivery()
    properties = pika.BasicProperties(delivery_mode=2)
    end = time.monotonic() + seconds
    n = 0
    try:
        while n < count and time.monotonic() < end:
            channel.basic_publish("", queue, b"%016d" % n + b"x" * 84, properties, mandatory=True)
            n += 1
            if n == 20:
                print("going", file=sys.stderr, flush=True)
    except pika.exceptions.AMQPError as e:
        print(f"{e!r}", file=sys.stderr)
    return n


def drain(channel, queue):
    """Two answers in a row must say that nothing is left."""
    n = empty = 0
    while empty < 2:
        method, _, _ = channel.basic_get(queue)
        if method is None:
            empty += 1
            continue
        empty = 0
        n += 1
        channel.basic_ack(method.delivery_tag)
    return n


def main():
    host, what, *rest = sys.argv[1:]
    try:
        connection = connect(host)
    except Exception as e:  # pika has several kinds of its own, without a common one
        sys.exit(f"no answer from {host}: {e!r}")
    channel = connection.channel()
    if what == "declare":
        pairs = [a.split("=", 1) for a in rest[1:]]
        channel.queue_declare(
            rest[0], durable=True, arguments={k: int(v) if v.isdigit() else v for k, v in pairs}
        )
        print("declared")
    elif what == "publish":
        print(publish(channel, rest[0], int(rest[1]), float(rest[2]) if len(rest) > 2 else 60))
    elif what == "drain":
        print(drain(channel, rest[0]))
    else:
        print("hello")
    if connection.is_open:
        connection.close()


main()
