#!/usr/bin/env python3
"""An independent client of RabbitMQ (pika), which shares nothing with mqaudit. The broker: $RABBITMQ_URL.

    queue.py look QUEUE              identities of what stands in a queue, one a line; nothing is taken
    queue.py relay FROM TO ORDER...  take all of FROM, give it to TO; ORDER: drop:N, repeat:N, swap:N (with the one
                                     behind it), again:N (as another attempt), each for the message with seq N
    queue.py hold QUEUE N SECONDS    consume N messages without an ack, keep them so long, go without a word
    queue.py take QUEUE N SECONDS    consume and acknowledge N messages, and print their identities; stay so long
"""
import os
import struct
import sys
import time

import pika
import xxhash


def identity(body):
    if len(body) < 64 or body[:4] != b"MQA1" or body[5] & 1:
        return None
    producer, epoch, _nonce, partition, seq = struct.unpack(">IIIIQ", body[16:40])
    return producer, epoch, partition, seq


def text(body):
    return "{}.{}.{}.{}".format(*identity(body))


def connect():
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["RABBITMQ_URL"]))
    return connection, connection.channel()


def gone_through(channel, queue, idle=3.0, prefetch=0):
    """All that the queue gives until it is silent."""
    channel.basic_qos(prefetch_count=prefetch)
    for method, properties, body in channel.consume(queue, inactivity_timeout=idle):
        if method is None:
            return
        yield method, properties, body


def look(queue):
    connection, channel = connect()
    # as many as AMQP can say: without a limit a quorum queue gives 2000 and waits (RabbitMQ 3.10)
    for _method, _properties, body in gone_through(channel, queue, prefetch=65535):
        if identity(body):
            print(text(body))
    # closed without an ack: all of it stands there again
    connection.close()


def with_attempt(body, attempt):
    head = bytearray(body[:64])
    head[6:8] = struct.pack(">H", attempt)
    head[52:56] = struct.pack(">I", xxhash.xxh3_64_intdigest(bytes(head[:52])) & 0xFFFFFFFF)
    return bytes(head) + body[64:]


def relay(source, target, orders):
    todo = {}
    for order in orders:
        what, seq = order.split(":")
        todo.setdefault(int(seq), []).append(what)
    connection, channel = connect()
    channel.confirm_delivery()
    held = None

    def give(properties, body):
        channel.basic_publish("", target, body, properties)

    for method, properties, body in gone_through(channel, source):
        what = todo.get((identity(body) or (0, 0, 0, 0))[3], []) if identity(body) else []
        if "swap" in what:
            held = (properties, body)
        elif "drop" not in what:
            give(properties, body)
            if "repeat" in what:
                give(properties, body)
            if "again" in what:
                give(properties, with_attempt(body, 1))
            if held:
                give(*held)
                held = None
        channel.basic_ack(method.delivery_tag)
    connection.close()


def hold(queue, n, seconds):
    _connection, channel = connect()
    for i, _ in enumerate(gone_through(channel, queue, idle=30, prefetch=n), 1):
        if i == n:
            break
    print("held", flush=True)
    time.sleep(seconds)
    os._exit(0)


def take(queue, n, seconds):
    connection, channel = connect()
    for i, (method, _properties, body) in enumerate(gone_through(channel, queue, idle=30, prefetch=1), 1):
        print(text(body), flush=True)
        channel.basic_ack(method.delivery_tag)
        if i == n:
            break
    time.sleep(seconds)
    channel.cancel()
    connection.close()


def main():
    command, *rest = sys.argv[1:]
    if command == "look":
        look(rest[0])
    elif command == "relay":
        relay(rest[0], rest[1], rest[2:])
    elif command == "hold":
        hold(rest[0], int(rest[1]), float(rest[2]))
    elif command == "take":
        take(rest[0], int(rest[1]), float(rest[2]))
    else:
        sys.exit(__doc__)


main()
