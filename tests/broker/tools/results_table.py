#!/usr/bin/env python3
"""The README's table of results: a repeated suite (mqaudit-suite/1), a row for each scenario.

usage: results_table.py SUITE.json

Of each twin: what was found, with the least and the most messages over all repetitions; how long there was no
acknowledgement at worst (good twins); in how many repetitions all was as declared.
"""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    suite = json.load(f)
assert suite["format"] == "mqaudit-suite/1", suite["format"]


def number(n):
    return f"{n:,}"


def span(numbers):
    low, high = min(numbers), max(numbers)
    return number(low) if low == high else f"{number(low)}-{number(high)}"


def found(twins):
    """What the repetitions of a twin found, in words."""
    kinds = sorted({(i["kind"], i["stage"]) for t in twins for i in t["found"]})
    words = []
    for kind, stage in kinds:
        counts = [sum(i["count"] for i in t["found"] if (i["kind"], i["stage"]) == (kind, stage)) for t in twins]
        words.append(f"{span(counts)} {kind} at {stage}")
    verdicts = {t["verdict"] for t in twins}
    return ", ".join(words) or ("clean" if verdicts == {"PASS"} else "/".join(sorted(verdicts)))


def together(scenario, role):
    """Twins with the same findings share their words."""
    by_words = {}
    for name in dict.fromkeys(t["name"] for s in scenario for t in s["twins"] if t["role"] == role):
        twins = [t for s in scenario for t in s["twins"] if t["name"] == name]
        by_words.setdefault(found(twins), []).append(f"`{name}`")
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in by_words.items())


def away(scenario):
    times = [f["without_ack_ms"] for s in scenario for t in s["twins"] if t["role"] == "good" for f in t.get("faults") or []]
    return f"{max(times) / 1000:.1f} s" if times and max(times) >= 1000 else ""


def as_declared(scenario):
    good = sum(s["verdict"] == "PASS" for s in scenario)
    text = f"{good} of {len(scenario)}"
    if scenario[0]["bounded"]:
        bad = [t["outcome"] == "ok" for s in scenario for t in s["twins"] if t["role"] == "bad"]
        text += f", hit {sum(bad)} of {len(bad)}"
    return text


print("| scenario | bad twins | good twins | unavailable | as declared |")
print("|---|---|---|---|---|")
for name in dict.fromkeys(s["name"] for s in suite["scenarios"]):
    runs = [s for s in suite["scenarios"] if s["name"] == name]
    print(f"| {name} | {together(runs, 'bad')} | {together(runs, 'good')} | {away(runs)} | {as_declared(runs)} |")
