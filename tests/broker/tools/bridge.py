#!/usr/bin/env python3
"""A bridge for the tests: relays messages from one place to another, each a topic of Kafka or a queue of RabbitMQ.

usage: bridge.py FROM TO SECONDS ORDER:SEQ...

FROM and TO are NETNS:kafka:BOOTSTRAP/TOPIC or NETNS:amqp:URL/QUEUE (AMQP's URL with user and password), NETNS the network
namespace from which the broker is reached. Messages keep their order; a message is taken off where it comes from when it is confirmed where it goes, every fifty or when there is nothing more. Orders, each for the message with seq SEQ:
drop, repeat. With RATE=N in the environment, so many a second. Ends when a fence went through, or after SECONDS; SIGTERM
ends it at once, as SIGKILL does. Says how many it relayed. Nothing in it is mqaudit's.
"""
import ctypes
import os
import struct
import sys
import time

import pika
from confluent_kafka import Consumer, Producer


def seq_of(v):
    ours = len(v) >= 64 and v[:4] == b"MQA1" and not v[5] & 1
    return struct.unpack(">Q", v[32:40])[0] if ours else 0


def is_fence(v):
    """A judgement's; what a probe tries bindings with has number 0."""
    return len(v) >= 64 and v[:4] == b"MQA1" and v[5] & 1 and v[20:24] != bytes(4)


class KafkaSource:
    def __init__(self, where):
        bootstrap, topic = where.split("/", 1)
        self.c = Consumer({"bootstrap.servers": bootstrap, "group.id": "bridge", "enable.auto.commit": False,
                           "session.timeout.ms": 6000, "auto.offset.reset": "earliest"})
        self.c.subscribe([topic])
        self.fences = len(self.c.list_topics(topic, timeout=15).topics[topic].partitions)

    def take(self):
        m = self.c.poll(0.2)
        return None if m is None or m.error() else (m, m.value())

    def done(self, m):
        self.c.commit(m, asynchronous=True)

    def close(self):
        self.c.close()


class QueueSource:
    fences = 1

    def __init__(self, where):
        url, queue = where.rsplit("/", 1)
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.channel.basic_qos(prefetch_count=100)
        self.given = self.channel.consume(queue, inactivity_timeout=0.2)

    def take(self):
        method, _properties, body = next(self.given)
        return None if method is None else (method, body)

    def done(self, method):
        self.channel.basic_ack(method.delivery_tag, multiple=True)

    def close(self):
        self.connection.close()


class KafkaTarget:
    def __init__(self, where):
        bootstrap, self.topic = where.split("/", 1)
        self.p = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 0})

    def give(self, body):
        self.p.produce(self.topic, body, partition=0)
        if self.p.flush(30):
            sys.exit("not confirmed")


class QueueTarget:
    def __init__(self, where):
        url, self.queue = where.rsplit("/", 1)
        self.channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
        self.channel.confirm_delivery()

    def give(self, body):
        self.channel.basic_publish("", self.queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)


def enter(netns):
    """For what is connected from now on, and for threads that are made from now on."""
    with open(netns) as f:
        if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), 0):
            sys.exit(f"cannot enter {netns}: {os.strerror(ctypes.get_errno())}")


def main():
    (net_a, kind_a, a), (net_b, kind_b, b) = (x.split(":", 2) for x in sys.argv[1:3])
    end = time.time() + float(sys.argv[3])
    todo = {int(seq): what for what, seq in (order.split(":") for order in sys.argv[4:])}
    pause = 1 / float(os.environ["RATE"]) if "RATE" in os.environ else 0
    enter(net_a)
    source = KafkaSource(a) if kind_a == "kafka" else QueueSource(a)
    enter(net_b)
    target = KafkaTarget(b) if kind_b == "kafka" else QueueTarget(b)
    print("ready", flush=True)
    n = fences = 0
    last = None
    while fences < source.fences and time.time() < end:
        taken = source.take()
        if last and (taken is None or n % 50 == 0):
            source.done(last)
            last = None
        if taken is None:
            continue
        handle, body = taken
        what = todo.pop(seq_of(body), "")
        for _ in range({"drop": 0, "repeat": 2}.get(what, 1)):
            target.give(body)
            n += 1
        last = handle
        fences += bool(is_fence(body))
        time.sleep(pause)
    if last:
        source.done(last)
    source.close()
    print(n, flush=True)
    if todo or fences < source.fences:
        sys.exit(f"left: {todo}, {fences} fences came by")


main()
