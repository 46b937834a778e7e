#!/usr/bin/env python3
"""An independent client of RabbitMQ (pika), which shares nothing with mqaudit. The broker: $RABBITMQ_URL.

    queue.py look QUEUE [KIND]       identities of what stands in a queue, one a line; nothing is taken
    queue.py relay FROM TO ORDER...  take all of FROM, give it to TO; ORDER: drop:N, repeat:N, swap:N (with the one
                                     behind it), again:N (as another attempt), flip:N (a bit of its payload), short:N (without its
                                     last bytes), foreign:N (with a stranger behind it), each for the message with seq N
    queue.py declare QUEUE           a classic queue of its own
    queue.py bind EXCHANGE QUEUE:TYPE[:N]...
                                     declare a direct exchange and queues, each bound to it with its own name; with N
                                     one refuses what is more than that
    queue.py unbind EXCHANGE QUEUE
    queue.py copy QUEUE EXCHANGE SEQ...   publish to the exchange what the queue holds with these seqs, and leave it there
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


def gone_through(channel, queue, idle=3.0, prefetch=0, arguments=None):
    """All that the queue gives until it is silent."""
    channel.basic_qos(prefetch_count=prefetch)
    for method, properties, body in channel.consume(
        queue, inactivity_timeout=idle, arguments=arguments
    ):
        if method is None:
            return
        yield method, properties, body


def look(queue, is_stream):
    arguments = {"x-stream-offset": "first"} if is_stream else None
    connection, channel = connect()
    # (all must fit into the prefetch: nothing comes beyond it without an ack, and to a quorum queue 0 is 2000)
    for _method, _properties, body in gone_through(channel, queue, prefetch=65535, arguments=arguments):
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
        if "flip" in what:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if "short" in what:
            body = body[:40]
        if "swap" in what:
            held = (properties, body)
        elif "drop" not in what:
            give(properties, body)
            if "repeat" in what:
                give(properties, body)
            if "again" in what:
                give(properties, with_attempt(body, 1))
            if "foreign" in what:
                give(properties, b"somebody else's")
            if held:
                give(*held)
                held = None
        channel.basic_ack(method.delivery_tag)
    connection.close()


def bind(exchange, queues):
    connection, channel = connect()
    channel.exchange_declare(exchange, "direct", durable=True)
    for queue, kind, *limit in (q.split(":") for q in queues):
        arguments = {"x-queue-type": kind}
        if limit:
            arguments.update({"x-max-length": int(limit[0]), "x-overflow": "reject-publish"})
        channel.queue_declare(queue, durable=True, arguments=arguments)
        channel.queue_bind(queue, exchange, queue)
    connection.close()


def unbind(exchange, queue):
    connection, channel = connect()
    channel.queue_unbind(queue, exchange, queue)
    connection.close()


def copy(queue, exchange, seqs):
    connection, channel = connect()
    bodies = [(p, b) for _m, p, b in gone_through(channel, queue) if (identity(b) or (0, 0, 0, 0))[3] in seqs]
    connection.close()
    connection, channel = connect()
    channel.confirm_delivery()
    for properties, body in bodies:
        channel.basic_publish(exchange, queue, body, properties, mandatory=True)
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
    if command == "declare":
        connect()[1].queue_declare(rest[0], durable=True)
    elif command == "look":
        look(rest[0], rest[1:] == ['stream'])
    elif command == "relay":
        relay(rest[0], rest[1], rest[2:])
    elif command == "bind":
        bind(rest[0], rest[1:])
    elif command == "unbind":
        unbind(rest[0], rest[1])
    elif command == "copy":
        copy(rest[0], rest[1], [int(n) for n in rest[2:]])
    elif command == "hold":
        hold(rest[0], int(rest[1]), float(rest[2]))
    elif command == "take":
        take(rest[0], int(rest[1]), float(rest[2]))
    else:
        sys.exit(__doc__)


main()
