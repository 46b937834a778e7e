#!/usr/bin/env python3
"""Speed, as ratios in one run: mqaudit against the client libraries' bare loops and the brokers' own perf tools.

All sides work on one broker, one after the other, in turning order, REPEATS times; medians are shown.
What counts is the ratio, and the CPU seconds per million messages: on a shared machine rates move, CPU
moves less. Beside every figure stands what others used of the machine meanwhile; where that is more than
one core, the ratio of rates says little: "crowded".

Environment: REPEATS (5), CASES (regular expression on "kafka 100B/12p", "rabbitmq classic/100B", ...), PARTS
(produce,consume,record,both,latency; the last but one is all that RabbitMQ has beside the first two), COUNT
(divides the numbers of messages: 2 = half), LIMIT (seconds for the turns on one broker: none is begun that would
not fit, and no case behind it; 0: no limit; default 480 on RabbitMQ), JSON (file for the figures), RESULTS (a JSON file to print again,
without measuring).
"""
import json
import os
import re
import statistics
import subprocess
import time

import bench_kafka
import bench_rabbitmq
from measure import MQ, PARTS, TOP, say

REPEATS = int(os.environ.get("REPEATS", "5"))
BROKERS = {"kafka": (bench_kafka, bench_kafka.KafkaBench, 0),
           "rabbitmq": (bench_rabbitmq, bench_rabbitmq.RabbitmqBench, 480)}


def median(rows, part, case, side, value):
    found = [value(r) for r in rows if (r["part"], r["case"], r["side"]) == (part, case, side)]
    return statistics.median(found) if found else None


def cpu_per_million(r):
    return r["client_cpu_s"] / r["messages"] * 1e6


def table(head, lines):
    widths = [max(len(str(x[i])) for x in [head, *lines]) for i in range(len(head))]
    for line in [head, ["-" * w for w in widths], *lines]:
        print("| " + " | ".join(str(x).ljust(w) for x, w in zip(line, widths)) + " |")
    print()


def print_figures(rows):
    keys = list(dict.fromkeys((r["part"], r["case"], r["side"]) for r in rows if r["part"] != "latency"))
    keys.sort(key=lambda k: (["produce", "consume", "both"].index(k[0]), k[1]))
    lines = []
    for k in keys:
        def m(value):
            return median(rows, *k, value)
        name = next(r["hottest"][1] for r in rows if (r["part"], r["case"], r["side"]) == k)
        lines.append(["%s %s" % k[:2], k[2], "%.1f" % (m(lambda r: r["rate"]) / 1e3),
                      "%.2f" % m(cpu_per_million),
                      "%.2f %s" % (m(lambda r: r["hottest"][0] / r["messages"] * 1e6), name),
                      "%.2f" % m(lambda r: r["broker_cpu_s"] / r["messages"] * 1e6),
                      "%.2f" % m(lambda r: r["ledger_cpu_s"] / r["messages"] * 1e6),
                      "%.0f" % m(lambda r: r["rss_mib"]),
                      "%.1f" % m(lambda r: r["others_cores"])])
    table(["case", "side", "k msg/s", "CPU s/M", "hottest thread s/M", "broker s/M", "ledger s/M",
           "RSS MiB", "others, cores"], lines)


def graded(value, goals, more_is_better):
    if value is None:
        return "-"
    if goals is None:
        return "%.2f" % value
    better = (lambda a, b: a >= b) if more_is_better else (lambda a, b: a <= b)
    word = "goal" if better(value, goals[1]) else "ok" if better(value, goals[0]) else "BELOW"
    return "%.2f %s" % (value, word)


def ratio_lines(rows, ratios):
    cases = list(dict.fromkeys(r["case"] for r in rows))
    for part, ours, theirs, name, rate_goals, cpu_goals in ratios:
        for case in cases:
            def ratio(value):
                a, b = median(rows, part, case, ours, value), median(rows, part, case, theirs, value)
                return a / b if a is not None and b else None
            others = max((r["others_cores"] for r in rows
                          if r["part"] == part and r["case"] == case
                          and r["side"] in (ours, theirs)), default=None)
            if ratio(cpu_per_million) is None:
                continue
            crowded = median(rows, part, case, ours, lambda r: r["others_cores"]) > 1.0 or \
                median(rows, part, case, theirs, lambda r: r["others_cores"]) > 1.0
            rate = ratio(lambda r: r["rate"])
            yield [name, case, "crowded (%.2f)" % rate if crowded else graded(rate, rate_goals, True),
                   graded(ratio(cpu_per_million), cpu_goals, False),
                   "%.2f" % ratio(lambda r: r["rss_mib"]), "%.1f" % others]


def print_broker(name, ran, result):
    rows = [r for r in result["rows"] if r["broker"] == name]
    print("mqaudit %s, %s, its files %s, medians of %d\n" % (
        result["mqaudit"], ran["about"], {"memory": "in memory", "disk": "on disk"}[result["logs_are"]],
        ran["turns"]))
    print_figures(rows)
    table(["ratio", "case", "msg/s", "CPU", "RSS", "others at most, cores"],
          list(ratio_lines(rows, BROKERS[name][0].RATIOS)))
    for r in rows:
        if r["part"] == "latency":
            ack, end = r["latency"]["ack"], r["latency"]["end_to_end"]
            print("at 10,000 msg/s: acknowledged in p50 %.1f ms, p99 %.1f ms; read after p50 %.1f ms, "
                  "p99 %.1f ms; end to end p99 / ack p99 %s" % (
                      ack["p50_ns"] / 1e6, ack["p99_ns"] / 1e6, end["p50_ns"] / 1e6,
                      end["p99_ns"] / 1e6, graded(end["p99_ns"] / ack["p99_ns"], (2, 1.2), False)))
    grown = [r["ledger_bytes"] / r["messages"] for r in rows if "ledger_bytes" in r]
    if grown:
        print("ledger: %.4f bytes a message (median)" % statistics.median(grown))


def print_all(result):
    for name, ran in result["brokers"].items():
        print_broker(name, ran, result)


def take_turns(bench, wanted, limit):
    """Returns how many turns there were."""
    began = time.monotonic()
    for n in range(REPEATS):
        used = time.monotonic() - began
        if n and limit and used + used / n > limit:
            return n
        say("turn %d of %d" % (n + 1, REPEATS))
        for case in wanted:
            if limit and time.monotonic() - began > limit:
                say("no time is left for %s" % case[0])
            else:
                bench.case(n, *case)
        bench.end_turn()
    return REPEATS


def bench_on(name, rows):
    """Measure on a broker of that name; None when no case of it is wanted."""
    module, bench, limit = BROKERS[name]
    cases = os.environ.get("CASES", ".")
    wanted = [c for c in module.CASES if re.search(cases, "%s %s" % (name, c[0]))]
    if not wanted:
        return None
    say("a %s of its own comes up" % name)
    subprocess.run([MQ, "lab", "up", name, "--lab", module.LAB, "--nodes", "1", "--until-pid",
                    str(os.getpid()), *module.LAB_UP, "--quiet"], check=True)
    try:
        b = bench(rows)
        say("the broker warms up")
        b.warm_up()
        turns = take_turns(b, wanted, int(os.environ.get("LIMIT", limit)))
        return {"version": b.version, "about": b.about(), "turns": turns}
    finally:
        subprocess.run([MQ, "lab", "down", "--lab", module.LAB, "--quiet"], check=False)
        subprocess.run([MQ, "ledger", "stop", "--quiet"], check=False)


def main():
    if os.environ.get("RESULTS"):
        with open(os.environ["RESULTS"]) as f:
            print_all(json.load(f))
        return
    version = subprocess.run([MQ, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]
    result = {"format": "mqaudit-bench/2", "mqaudit": version, "brokers": {}, "parts": PARTS,
              "logs_are": os.environ.get("LOGS_ARE", "disk"), "rows": []}
    for name in BROKERS:
        ran = bench_on(name, result["rows"])
        if ran:
            result["brokers"][name] = ran
    if not result["brokers"]:
        raise SystemExit("no case is called that: CASES")
    path = os.environ.get("JSON", os.path.join(TOP, "build/bench.json"))
    with open(path, "w") as f:
        json.dump(result, f, indent=1)
    print_all(result)
    say("figures: %s" % path)


if __name__ == "__main__":
    main()
