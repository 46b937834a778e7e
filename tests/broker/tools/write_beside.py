#!/usr/bin/env python3
"""An application's producer: messages that carry an envelope in a header, built with struct and xxhash alone.

usage: write_beside.py BOOTSTRAP TOPIC RUN_ID <LINES

RUN_ID in hex. Each line is a JSON object: partition, producer, epoch, nonce, seq, payload (text, or null), and
optionally run (another run's id, in hex), fault: payload (a byte is turned behind the checksum), short (the header ends
early), long (one byte too many), garbage (no envelope at all), twice (a header of another run first), null (the
header has no value), front (the payload has an envelope of its own, of `front_seq`). Prints the offset of each.
"""
import json
import struct
import sys

import xxhash
from confluent_kafka import Producer


def envelope(run, line, seq, length, payload):
    head = b"MQA1" + struct.pack(">BBHQIIIIQQI", 1, 0, 0, int(run, 16), line["producer"], line["epoch"], line["nonce"],
                                 line["partition"], seq, 1700000000000000000, length)
    return head + struct.pack(">IQ", xxhash.xxh3_64_intdigest(head) & 0xffffffff, xxhash.xxh3_64_intdigest(payload))


def main():
    bootstrap, topic, run_id = sys.argv[1:4]
    p = Producer({"bootstrap.servers": bootstrap, "acks": "all"})

    def done(error, m):
        if error:
            sys.exit(f"not written: {error}")
        print(m.partition(), m.offset(), flush=True)

    for text in sys.stdin:
        line = json.loads(text)
        fault = line.get("fault")
        payload = None if line["payload"] is None else line["payload"].encode()
        value = envelope(line.get("run", run_id), line, line["seq"], len(payload or b""), payload or b"")
        headers = [("trace", b"unrelated"), ("mqaudit", value), ("mqaudit2", b"unrelated")]
        if fault == "payload":
            payload = payload[:-1] + bytes([payload[-1] ^ 1])
        elif fault == "short":
            headers = [("mqaudit", value[:40])]
        elif fault == "long":
            headers = [("mqaudit", value + b"x")]
        elif fault == "garbage":
            headers = [("mqaudit", b"y" * 64)]
        elif fault == "twice":
            headers = [("mqaudit", envelope("1234", line, line["seq"], len(payload), payload)), ("mqaudit", value)]
        elif fault == "null":
            headers = [("mqaudit", None)]
        elif fault == "front":
            payload = envelope(run_id, line, line["front_seq"], 64 + len(payload), payload) + payload
        p.produce(topic, payload, partition=line["partition"], headers=headers, on_delivery=done)
        p.flush(15)


main()
