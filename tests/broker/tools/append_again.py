#!/usr/bin/env python3
"""Appends messages to a topic again, byte for byte, far behind where they stand.

usage: append_again.py BOOTSTRAP TOPIC SEED COUNT

COUNT messages of each partition, by chance. Prints one line for each: producer.epoch.partition.seq, partition,
offset of the first copy, offset of the second.
"""
import random
import struct
import sys

from confluent_kafka import Consumer, Producer, TopicPartition


def identity(v):
    producer, epoch, _nonce, partition, seq = struct.unpack(">IIIIQ", v[16:40])
    return f"{producer}.{epoch}.{partition}.{seq}"


def read(c, topic, partition, end):
    c.assign([TopicPartition(topic, partition, 0)])
    records = []
    at = 0
    while at < end:
        for m in c.consume(1000, 10):
            if m.error():
                sys.exit(f"reading failed: {m.error()}")
            at = m.offset() + 1
            records.append((m.offset(), m.key(), m.value()))
    return records


def main():
    bootstrap, topic, seed, count = sys.argv[1:5]
    rng = random.Random(int(seed))
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": "append", "enable.auto.commit": False,
                  "auto.offset.reset": "error"})
    p = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True})
    for partition in sorted(c.list_topics(topic, timeout=15).topics[topic].partitions):
        _low, end = c.get_watermark_offsets(TopicPartition(topic, partition), timeout=15)
        for offset, key, value in rng.sample(read(c, topic, partition, end), int(count)):
            def told(error, m, what=f"{identity(value)} {partition} {offset}"):
                if error:
                    sys.exit(f"writing failed: {error}")
                print(what, m.offset())
            p.produce(topic, value, key, partition=partition, on_delivery=told)
        p.flush(30)
    c.close()


main()
