#!/usr/bin/env python3
"""How many offsets a topic has, over all partitions, as its leaders tell: log_end.py BOOTSTRAP TOPIC."""
import sys

from confluent_kafka import Consumer, TopicPartition


def main():
    bootstrap, topic = sys.argv[1:3]
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": "independent", "enable.auto.commit": False,
                  "isolation.level": "read_uncommitted"})
    parts = c.list_topics(topic, timeout=15).topics[topic].partitions
    print(sum(c.get_watermark_offsets(TopicPartition(topic, p), timeout=15)[1] for p in parts))


main()
