#!/usr/bin/env python3
"""An independent decoder of a probe's journal.

journal.py show FILE: "intended closed synced open": messages that were intended; acked ones in closed records
that are not marked as shipped; those of them that are marked as forced to the disk; acked ones in open records.
journal.py boot FILE: write another boot id into it, as if the machine had been started anew since.
"""
import struct
import sys

ACKED = 0


def record(b, at):
    lane, outcome = struct.unpack_from("<IB", b, at)
    lo, hi = struct.unpack_from("<QQ", b, at + 16)
    return lane, outcome, lo, hi


def acked(b, at):
    _lane, outcome, lo, hi = record(b, at)
    return hi - lo + 1 if lo and outcome == ACKED else 0


def show(path):
    b = open(path, "rb").read()
    assert b[:7] == b"MQAJNL\x01", "not a journal"
    record_size, lane_size, ring, n_lanes, log_at = struct.unpack_from("<IIQQQ", b, 8)
    count, shipped, _allocated, synced = struct.unpack_from("<QQQQ", b, 184)
    lanes = [4096 + i * lane_size for i in range(n_lanes)]
    intended = sum(struct.unpack_from("<Q", b, at + 8)[0] for at in lanes)
    slots = {i: log_at + i % ring * record_size for i in range(shipped, count)}
    closed = sum(acked(b, at) for at in slots.values())
    forced = sum(acked(b, at) for i, at in slots.items() if i < synced)
    print(intended, closed, forced, sum(acked(b, at + 64) for at in lanes))


def boot(path):
    with open(path, "r+b") as f:
        f.seek(144)
        f.write(b"00000000-0000-4000-8000-000000000000")


{"show": show, "boot": boot}[sys.argv[1]](sys.argv[2])
