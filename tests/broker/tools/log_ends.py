#!/usr/bin/env python3
"""Where a topic's partitions begin and end, as their leaders tell: log_ends.py BOOTSTRAP TOPIC.

Prints the sum of the first offsets and the sum of the next ones.
"""
import sys

from confluent_kafka import Consumer, TopicPartition


def main():
    bootstrap, topic = sys.argv[1:3]
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": "independent", "enable.auto.commit": False,
                  "isolation.level": "read_uncommitted"})
    parts = c.list_topics(topic, timeout=15).topics[topic].partitions
    marks = [c.get_watermark_offsets(TopicPartition(topic, p), timeout=15) for p in parts]
    print(sum(low for low, _ in marks), sum(high for _, high in marks))


main()
