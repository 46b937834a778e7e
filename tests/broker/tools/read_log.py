#!/usr/bin/env python3
"""An independent reader: every record of a topic, decoded with struct and nothing of mqaudit's.

Prints one line a message of the run: producer.epoch.partition.seq offset partition. Reads to the end that
each partition had when it began.
"""
import struct
import sys

from confluent_kafka import Consumer, TopicPartition


def main():
    bootstrap, topic = sys.argv[1:3]
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": "independent", "enable.auto.commit": False,
                  "auto.offset.reset": "error", "isolation.level": "read_uncommitted",
                  "enable.partition.eof": False})
    parts = c.list_topics(topic, timeout=15).topics[topic].partitions
    ends = {}
    start = []
    for p in parts:
        low, high = c.get_watermark_offsets(TopicPartition(topic, p), timeout=15)
        if high > low:
            ends[p] = high
            start.append(TopicPartition(topic, p, low))
    c.assign(start)
    at = {p: 0 for p in ends}
    while any(at[p] < ends[p] for p in ends):
        m = c.poll(10)
        if m is None:
            break
        if m.error():
            sys.exit(f"reading failed: {m.error()}")
        at[m.partition()] = m.offset() + 1
        v = m.value() or b""
        if len(v) < 64 or v[:4] != b"MQA1" or v[5] & 1:
            continue
        producer, epoch, _nonce, partition, seq = struct.unpack(">IIIIQ", v[16:40])
        print(f"{producer}.{epoch}.{partition}.{seq} {m.offset()} {m.partition()}")
    c.close()


main()
