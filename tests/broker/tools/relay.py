#!/usr/bin/env python3
"""A relay for the tests: copies topic A to topic B, partition by partition and in order, and plants faults.

usage: relay.py BOOTSTRAP A B SEED KIND=COUNT,... SECONDS [beside]

Kinds: drop, repeat, swap, flip (a payload byte), cut (payload, header stays), behead (below 64 bytes),
foreign. Each message suffers at most one. With `beside`, B's records carry their envelope in a header named
mqaudit instead of in front of the payload. Ends when every partition's fence went through, or after SECONDS.
Prints what it planted as JSON lines; message identities are producer.epoch.partition.seq.

In place of a count: only=P (plant in partition P only), nofence=1 (fences are not passed on), move=SEQ
(partition 0's messages from that seq on go to partition 1), hold=SECONDS (what is moved, but for its first
hundred, comes so much later than the last fence), txn=N (in transactions of N messages, of which every third is
aborted and done again).
"""
import json
import random
import struct
import sys
import time

import xxhash
from confluent_kafka import Consumer, Producer, TopicPartition


def identity(v):
    producer, epoch, _nonce, partition, seq = struct.unpack(">IIIIQ", v[16:40])
    return f"{producer}.{epoch}.{partition}.{seq}"


def beside(v):
    """The payload alone, and the envelope as a header; what is said of the payload stays what it was."""
    if v[:4] != b"MQA1":
        return v, []
    if len(v) < 64:
        return b"", [("mqaudit", v)]
    length, = struct.unpack(">I", v[48:52])
    head = v[:48] + struct.pack(">I", length - 64)
    return v[64:], [("mqaudit", head + struct.pack(">I", xxhash.xxh3_64_intdigest(head) & 0xffffffff) + v[56:64])]


def main():
    bootstrap, a, b, seed, spec, seconds = sys.argv[1:7]
    form = beside if sys.argv[7:] == ["beside"] else lambda v: (v, [])
    rng = random.Random(int(seed))
    want = []
    mode = {"only": None, "nofence": None, "move": None, "hold": None, "txn": None}
    for part in filter(None, spec.split(",")):
        kind, count = part.split("=")
        if kind in mode:
            mode[kind] = int(count)
        else:
            want += [kind] * int(count)
    rng.shuffle(want)
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": "relay", "enable.auto.commit": False,
                  "auto.offset.reset": "error"})
    config = {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5}
    if mode["txn"]:
        config["transactional.id"] = "relay"
    p = Producer(config)
    if mode["txn"]:
        p.init_transactions(30)
    parts = sorted(c.list_topics(a, timeout=15).topics[a].partitions)
    c.assign([TopicPartition(a, i, 0) for i in parts])
    held = {}          # a message that waits to be swapped with its successor
    fenced = set()
    last_touched = {}
    since = {i: 0 for i in parts}
    end = time.time() + float(seconds)

    late = []
    gathered = []
    transactions = 0

    def commit():
        nonlocal transactions
        transactions += 1
        for again in [False, True] if transactions % 3 == 0 else [True]:
            p.begin_transaction()
            for key, value, partition in gathered:
                p.produce(b, value, key, partition=partition)
            p.flush(30)
            if again:
                p.commit_transaction(30)
            else:
                p.abort_transaction(30)
        gathered.clear()

    def out(partition, key, value, moved=False):
        if mode["move"] and partition == 0 and not moved and value[:4] == b"MQA1" and not value[5] & 1 \
                and struct.unpack(">Q", value[32:40])[0] >= mode["move"]:
            if mode["hold"] and struct.unpack(">Q", value[32:40])[0] >= mode["move"] + 100:
                late.append((key, value))
                return
            partition = 1
        if mode["txn"]:
            gathered.append((key, value, partition))
            if len(gathered) >= mode["txn"]:
                commit()
            return
        while True:
            try:
                payload, headers = form(value)
                p.produce(b, payload, key, partition=partition, headers=headers)
                return
            except BufferError:
                p.poll(0.05)

    def plant(kind, partition, v, **more):
        print(json.dumps({"kind": kind, "partition": partition, "identity": identity(v), **more}), flush=True)

    while len(fenced) < len(parts) and time.time() < end:
        m = c.poll(0.2)
        p.poll(0)
        if m is None or m.error():
            continue
        part, key, v = m.partition(), m.key(), m.value()
        ours = len(v) >= 64 and v[:4] == b"MQA1"
        if ours and v[5] & 1:
            if part in held:
                out(part, *held.pop(part))
            if not mode["nofence"]:
                out(part, key, v)
            fenced.add(part)
            continue
        if part in held:
            out(part, key, v)
            out(part, *held.pop(part))
            since[part] = 0
            continue
        since[part] += 1
        # far enough from the last one, so that faults do not touch each other
        if not ours or not want or since[part] < 5 or rng.random() > 0.05 or \
                mode["only"] not in (part, None):
            out(part, key, v)
            continue
        kind = want.pop()
        since[part] = 0
        if kind == "drop":
            plant(kind, part, v)
        elif kind == "repeat":
            out(part, key, v)
            out(part, key, v)
            plant(kind, part, v)
        elif kind == "swap":
            held[part] = (key, v)
            plant(kind, part, v)
        elif kind == "flip":
            at = rng.randrange(64, len(v))
            out(part, key, v[:at] + bytes([v[at] ^ 1]) + v[at + 1:])
            plant(kind, part, v)
        elif kind == "cut":
            out(part, key, v[:rng.randrange(64, len(v))])
            plant(kind, part, v)
        elif kind == "behead":
            out(part, key, v[:rng.randrange(4, 64)])
            plant(kind, part, v)
        elif kind == "foreign":
            out(part, key, b"something else " + str(rng.random()).encode())
            out(part, key, v)
            plant(kind, part, v)
    if gathered:
        commit()
    p.flush(30)
    if late:
        time.sleep(mode["hold"])
        for key, v in late:
            out(1, key, v, moved=True)
        p.flush(30)
    c.close()
    if want:
        sys.exit(f"could not plant {want}")
    if len(fenced) < len(parts):
        sys.exit("not all fences came by")


main()
