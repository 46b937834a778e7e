#!/usr/bin/env python3
"""Speed, as ratios in one run: mqaudit against bare librdkafka loops and Kafka's own perf tools.

All sides work on one broker, one after the other, in turning order, REPEATS times; medians are shown.
What counts is the ratio, and the CPU seconds per million messages: on a shared machine rates move, CPU
moves less. Beside every figure stands what others used of the machine meanwhile; where that is more than
one core, the ratio of rates says nothing and is not shown.

Environment: REPEATS (5), CASES (regular expression on "100B/12p"), PARTS (produce,consume,record,both,latency),
COUNT (divides the numbers of messages: 2 = half), JSON (file for the figures), RESULTS (a JSON file to
print again, without measuring).
"""
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B = os.path.join(TOP, os.environ.get("B", "build/rel"))
MQ = os.path.join(B, "mqaudit")
BARE = os.path.join(B, "tests/bench/bare")
TICK = os.sysconf("SC_CLK_TCK")
REPEATS = int(os.environ.get("REPEATS", "5"))
DIVIDE = int(os.environ.get("COUNT", "1"))
PARTS = os.environ.get("PARTS", "produce,consume,record,both,latency").split(",")
CASES = [("100B/12p", 100, 12, 4_000_000), ("100B/1p", 100, 1, 4_000_000),
         ("1KiB/12p", 1024, 12, 600_000), ("1KiB/1p", 1024, 1, 600_000)]
RECORD_CASE = CASES[0][0]
# The same for every side: what the probe is measured with is what the bare loop has.
PRODUCER = ["acks=all", "enable.idempotence=true"]
LAB = "bench%d" % os.getpid()
JVM = ["-Xms512M", "-Xmx512M", "-server", "-XX:+UseG1GC"]  # as kafka-run-class.sh starts its tools
BROKER_JVM = "-Xms1G -Xmx1G -server -XX:+UseG1GC"  # as kafka-server-start.sh, not the lab's small JVM


def say(text):
    print(text, file=sys.stderr, flush=True)


def cpu_of(pid):
    """User and system seconds of a process so far, children that were waited for included."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return sum(int(x) for x in fields[11:15]) / TICK
    except OSError:
        return 0.0


def children_of(pid):
    found = []
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as f:
                found += [int(x) for x in f.read().split()]
    except OSError:
        pass
    return found


def tree(pid):
    return [pid] + [x for child in children_of(pid) for x in tree(child)]


def busy():
    """CPU seconds that the whole machine has worked."""
    with open("/proc/stat") as f:
        n = [int(x) for x in f.readline().split()[1:9]]
    return (sum(n) - n[3] - n[4]) / TICK


class Watch(threading.Thread):
    """Looks at a process and its children ten times a second: CPU time of each thread, peak memory."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.used, self.peak, self.end = pid, {}, {}, threading.Event()

    def run(self):
        while not self.end.wait(0.1):
            for pid in tree(self.pid):
                try:
                    with open("/proc/%d/status" % pid) as f:
                        self.peak[pid] = int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))
                    for task in os.listdir("/proc/%d/task" % pid):
                        with open("/proc/%d/task/%s/stat" % (pid, task)) as f:
                            head, rest = f.read().rsplit(")", 1)
                        fields = rest.split()
                        self.used[task] = ((int(fields[11]) + int(fields[12])) / TICK,
                                           head.split("(", 1)[1])
                except (OSError, AttributeError):  # it has just ended
                    pass

    def hottest(self):
        return max(self.used.values(), default=(0.0, "?"))

    def rss_mib(self):
        """Peak resident memory of the process and its children, each at its own peak."""
        return sum(self.peak.values()) / 1024


class Bench:
    def __init__(self):
        status = json.loads(self.mq("lab", "status", "kafka", "--lab", LAB, "--format", "json"))
        self.bootstrap = status["bootstrap"]
        self.brokers = [n["pid"] for n in status["nodes"]]
        self.version = status["version"]
        self.namespace = status.get("client_namespace")
        script = self.mq("lab", "exec", "kafka", "--lab", LAB, "--", "sh", "-c",
                         'cat "$(command -v kafka-topics)"')
        # the jars' class path, as the lab's own wrappers have it
        self.java_args = re.search(r"^lab='(.*)'$", script, re.M).group(1) + "/java.args"
        self.mq("ledger", "start")
        self.psql = re.search(r'psql (".*")', self.mq("ledger", "status")).group(1).strip('"')
        socket = re.search(r"host=(\S+)/socket", self.psql).group(1)
        with open(socket + "/data/postmaster.pid") as f:
            self.postmaster = int(f.readline())
        self.rows = []
        self.n = 0

    @staticmethod
    def mq(*words):
        return subprocess.run([MQ, *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    def sql(self, text):
        out = subprocess.run(["psql", self.psql, "-At", "-c", text], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        return out.strip()

    def inside(self, *command):
        """A command in the lab's client namespace, with KAFKA_BOOTSTRAP and PATH of the lab."""
        return [MQ, "lab", "exec", "kafka", "--lab", LAB, "--", *command]

    def java(self, name, *words):
        return self.inside("java", *JVM, "-Dlog4j2.level=OFF", "@" + self.java_args,
                           "org.apache.kafka.tools." + name, *words)

    def ledger_cpu(self):
        return sum(cpu_of(p) for p in tree(self.postmaster))

    def measure(self, commands):
        """Run commands side by side to their end. Returns their outputs and what it cost."""
        before = (busy(), sum(cpu_of(p) for p in self.brokers), self.ledger_cpu(),
                  resource.getrusage(resource.RUSAGE_CHILDREN))
        start = time.monotonic()
        running = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for c in commands]
        watchers = [Watch(p.pid) for p in running]
        outputs = []
        for w in watchers:
            w.start()
        for p, c in zip(running, commands):
            out = p.stdout.read()
            err = p.stderr.read()
            _, status, _ = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            if p.returncode != 0:
                raise SystemExit("%s: exit %d\n%s%s" % (" ".join(c), p.returncode, out, err))
            outputs.append(out)
        for w in watchers:
            w.end.set()
            w.join()
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        client = sum(getattr(after, f) - getattr(before[3], f) for f in ("ru_utime", "ru_stime"))
        broker = sum(cpu_of(p) for p in self.brokers) - before[1]
        ledger = self.ledger_cpu() - before[2]
        return outputs, {
            "wall_s": wall, "client_cpu_s": client, "broker_cpu_s": broker,
            "ledger_cpu_s": max(ledger, 0.0), "rss_mib": sum(w.rss_mib() for w in watchers),
            "hottest": max(w.hottest() for w in watchers),
            "others_cores": max(0.0, (busy() - before[0] - client - broker - ledger) / wall)}

    def note(self, part, case, side, messages, seconds, cost, **more):
        row = {"part": part, "case": case, "side": side, "messages": messages, "seconds": seconds,
               "rate": messages / seconds, **cost, **more}
        self.rows.append(row)
        say("  %-8s %-9s %-15s %9.0f msg/s  %.2f CPU s/M  (%.2f cores used by others)" % (
            part, case, side, row["rate"], cost["client_cpu_s"] / messages * 1e6,
            cost["others_cores"]))

    def topic(self, partitions):
        self.n += 1
        name = "bench-%d" % self.n
        subprocess.run(self.inside("kafka-topics", "--bootstrap-server", self.bootstrap, "--create",
                                   "--topic", name, "--partitions", str(partitions)),
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return name

    def drop(self, name):
        subprocess.run(self.inside("kafka-topics", "--bootstrap-server", self.bootstrap, "--delete",
                                   "--topic", name),
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    # ---- the sides ----

    def probe(self, case, topic, size, partitions, count):
        del partitions
        size0 = self.ledger_bytes()
        _, cost = self.measure([[MQ, "probe", "kafka://lab:%s/%s" % (LAB, topic), "--run", topic,
                                 "--count", str(count), "--size", str(size), "--quiet",
                                 *[w for p in PRODUCER for w in ("-X", p)]]])
        seconds = float(self.sql(
            "select extract(epoch from max(last_time) - (select min(first_time) from mqaudit.intent i "
            "where i.run_id = o.run_id)) from mqaudit.outcome o join mqaudit.run using (run_id) "
            "where name = '%s' group by o.run_id" % topic))
        self.note("produce", case, "probe", count, seconds, cost,
                  ledger_bytes=self.ledger_bytes() - size0)

    def bare_produce(self, how):
        def run(case, topic, size, partitions, count):
            (out,), cost = self.measure([self.inside(
                BARE, "produce-" + how, self.bootstrap, topic, str(partitions), str(count),
                str(size), *PRODUCER)])
            self.note("produce", case, "bare " + how, count, json.loads(out)["seconds"], cost)
        return run

    def java_produce(self, case, topic, size, partitions, count):
        del partitions
        (out,), cost = self.measure([self.java(
            "ProducerPerformance", "--topic", topic, "--num-records", str(count), "--record-size",
            str(size), "--throughput", "-1", "--producer-props",
            "bootstrap.servers=" + self.bootstrap, *PRODUCER)])
        rate = float(re.findall(r"([\d.]+) records/sec", out)[-1])
        self.note("produce", case, "perf tool", count, count / rate, cost)

    def checker(self, case, topic, partitions, count, *options, side="checker"):
        del partitions
        _, cost = self.measure([[MQ, "check", "kafka://lab:%s/%s" % (LAB, topic), "--run", topic,
                                 "--quiet", *options]])
        report = json.loads(self.mq("report", topic, "--format", "json"))
        last = report["checkers"][-1]
        if report["verdict"] != "PASS":
            raise SystemExit("the audit of %s ended with %s" % (topic, report["verdict"]))
        self.note("consume", case, side, count, last["read_ms"] / 1e3, cost)

    def bare_consume(self, case, topic, partitions, count):
        (out,), cost = self.measure([self.inside(
            BARE, "consume", self.bootstrap, topic, str(partitions), str(count),
            "queued.min.messages=1000000", "check.crcs=true")])
        self.note("consume", case, "bare", count, json.loads(out)["seconds"], cost)

    def java_consume(self, case, topic, partitions, count):
        del partitions
        (out,), cost = self.measure([self.java(
            "ConsumerPerformance", "--bootstrap-server", self.bootstrap, "--topic", topic,
            "--messages", str(count), "--hide-header", "--timeout", "60000")])
        fields = out.strip().splitlines()[-1].split(",")
        # without the time of the group's rebalance: the last column
        self.note("consume", case, "perf tool", count, count / float(fields[9]), cost)

    def ledger_bytes(self):
        return int(self.sql(
            "select coalesce(sum(pg_total_relation_size(c.oid)), 0) from pg_class c "
            "join pg_namespace n on n.oid = relnamespace where nspname = 'mqaudit' and relkind = 'r'"))

    # ---- the parts ----

    def one_case(self, case, size, partitions, count, turn):
        sides = [self.bare_produce("plain"), self.bare_produce("batch"), self.java_produce]
        sides.insert(turn % 4, self.probe)
        audited = None
        for side in sides:
            topic = self.topic(partitions)
            side(case, topic, size, partitions, count)
            if side == self.probe:
                audited = topic
            else:
                self.drop(topic)
        if "consume" in PARTS:
            sides = [self.bare_consume, self.java_consume]
            sides.insert(turn % 3, self.checker)
            for side in sides:
                side(case, audited, partitions, count)
        self.drop(audited)
        if "record" in PARTS and case == RECORD_CASE:
            self.record(case, size, partitions, count)

    def record(self, case, size, partitions, count):
        """A row per message beside the ranges: a topic and a run of its own."""
        topic = self.topic(partitions)
        self.mq("probe", "kafka://lab:%s/%s" % (LAB, topic), "--run", topic, "--count", str(count),
                "--size", str(size), "--quiet", *[w for p in PRODUCER for w in ("-X", p)])
        self.checker(case, topic, partitions, count, "--record", "messages", side="checker, rows")
        rows = int(self.sql("select count(*) from mqaudit.messages where run = '%s'" % topic))
        if rows != count:
            raise SystemExit("%d rows for %d messages" % (rows, count))
        self.sql("delete from mqaudit.run where name = '%s'" % topic)
        self.sql("vacuum")
        self.drop(topic)

    def warm_up(self):
        """A JVM that has just started is slow: the broker is not measured before it has worked."""
        topic = self.topic(12)
        count = 2_000_000
        for how in ("plain", "batch"):
            self.measure([self.inside(BARE, "produce-" + how, self.bootstrap, topic, "12", str(count),
                                      "100", *PRODUCER)])
        self.measure([self.inside(BARE, "consume", self.bootstrap, topic, "12", str(2 * count))])
        self.drop(topic)

    def both(self, case, size, partitions, count, turn):
        for side in (("run", "bare") if turn % 2 else ("bare", "run")):
            topic = self.topic(partitions)
            if side == "run":
                _, cost = self.measure([[MQ, "run", "kafka://lab:%s/%s" % (LAB, topic), "--run", topic,
                                         "--count", str(count), "--size", str(size), "--quiet",
                                         *[w for p in PRODUCER for w in ("-X", p)]]])
                report = json.loads(self.mq("report", topic, "--format", "json"))
                seconds = report["checkers"][-1]["read_ms"] / 1e3
            else:
                out, cost = self.measure([
                    self.inside(BARE, "consume", self.bootstrap, topic, str(partitions), str(count),
                                "queued.min.messages=1000000", "check.crcs=true"),
                    self.inside(BARE, "produce-plain", self.bootstrap, topic, str(partitions),
                                str(count), str(size), *PRODUCER)])
                # from the first that was sent: a consumer that came late has less to read, not more speed
                seconds = json.loads(out[0])["ended"] - json.loads(out[1])["began"]
            self.note("both", case, side, count, seconds, cost)
            self.drop(topic)

    def latency(self):
        topic = self.topic(12)
        count = 200_000 // DIVIDE
        _, cost = self.measure([[MQ, "run", "kafka://lab:%s/%s" % (LAB, topic), "--run", topic,
                                 "--count", str(count), "--rate", "10k", "--quiet",
                                 *[w for p in PRODUCER for w in ("-X", p)]]])
        report = json.loads(self.mq("report", topic, "--format", "json"))
        self.note("latency", "100B/12p", "run at 10k/s", count, cost["wall_s"], cost,
                  latency=report["latency"])
        self.drop(topic)


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
        lines.append(["%s %s" % k[:2], k[2], "%.2f" % (m(lambda r: r["rate"]) / 1e6),
                      "%.2f" % m(cpu_per_million),
                      "%.2f %s" % (m(lambda r: r["hottest"][0] / r["messages"] * 1e6), name),
                      "%.2f" % m(lambda r: r["broker_cpu_s"] / r["messages"] * 1e6),
                      "%.2f" % m(lambda r: r["ledger_cpu_s"] / r["messages"] * 1e6),
                      "%.0f" % m(lambda r: r["rss_mib"]),
                      "%.1f" % m(lambda r: r["others_cores"])])
    table(["case", "side", "M msg/s", "CPU s/M", "hottest thread s/M", "broker s/M", "ledger s/M",
           "RSS MiB", "others, cores"], lines)


# part, ours, theirs, name, (floor, goal) of the rate, (floor, goal) of the CPU; None: no goal was set
RATIOS = [
    ("produce", "probe", "bare plain", "probe / plain librdkafka loop", (1.2, 1.6), (1.15, 0.8)),
    ("produce", "probe", "bare batch", "probe / the same loop without audit", None, None),
    ("produce", "probe", "perf tool", "probe / kafka-producer-perf-test", (1.3, 1.8), (0.5, 0.25)),
    ("consume", "checker", "bare", "checker / bare consumer", (0.85, 1.0), None),
    ("consume", "checker", "perf tool", "checker / kafka-consumer-perf-test", (0.6, 1.0), (1.0, 0.8)),
    ("consume", "checker, rows", "bare", "checker with a row per message / bare consumer", (0.45, 0.7), None),
    ("both", "run", "bare", "both at once / both bare loops", (1.0, 1.5), None),
]


def graded(value, goals, more_is_better):
    if value is None:
        return "-"
    if goals is None:
        return "%.2f" % value
    better = (lambda a, b: a >= b) if more_is_better else (lambda a, b: a <= b)
    word = "goal" if better(value, goals[1]) else "ok" if better(value, goals[0]) else "BELOW"
    return "%.2f %s" % (value, word)


def ratio_lines(rows):
    cases = list(dict.fromkeys(r["case"] for r in rows))
    for part, ours, theirs, name, rate_goals, cpu_goals in RATIOS:
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
            yield [name, case, "crowded" if crowded else graded(ratio(lambda r: r["rate"]), rate_goals, True),
                   graded(ratio(cpu_per_million), cpu_goals, False),
                   "%.2f" % ratio(lambda r: r["rss_mib"]), "%.1f" % others]


def print_all(result):
    rows = result["rows"]
    print("mqaudit %s, Kafka %s, one broker, its log %s, %s, medians of %d\n" % (
        result["mqaudit"], result["kafka"],
        {"memory": "in memory", "disk": "on disk"}[result["logs_are"]],
        " ".join(result["producer"]), result["repeats"]))
    print_figures(rows)
    table(["ratio", "case", "msg/s", "CPU", "RSS", "others at most, cores"], list(ratio_lines(rows)))
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


def main():
    if os.environ.get("RESULTS"):
        with open(os.environ["RESULTS"]) as f:
            print_all(json.load(f))
        return
    say("a broker of its own comes up")
    subprocess.run([MQ, "lab", "up", "kafka", "--lab", LAB, "--nodes", "1", "--until-pid", str(os.getpid()),
                    "--broker-config", "log.segment.delete.delay.ms=1000",
                    "--jvm-options", BROKER_JVM, "--quiet"], check=True)
    try:
        b = Bench()
        wanted = [c for c in CASES if re.search(os.environ.get("CASES", "."), c[0])]
        say("the broker warms up")
        b.warm_up()
        for turn in range(REPEATS):
            say("turn %d of %d" % (turn + 1, REPEATS))
            for case, size, partitions, count in wanted:
                if "produce" in PARTS or "consume" in PARTS:
                    b.one_case(case, size, partitions, count // DIVIDE, turn)
                if "both" in PARTS and partitions > 1:
                    b.both(case, size, partitions, count // DIVIDE, turn)
            if "latency" in PARTS:
                b.latency()
        result = {"format": "mqaudit-bench/1", "mqaudit": b.mq("--version").split()[1],
                  "kafka": b.version, "logs_are": os.environ.get("LOGS_ARE", "disk"), "repeats": REPEATS, "producer": PRODUCER, "rows": b.rows}
    finally:
        subprocess.run([MQ, "lab", "down", "--lab", LAB, "--quiet"], check=False)
        subprocess.run([MQ, "ledger", "stop", "--quiet"], check=False)
    path = os.environ.get("JSON", os.path.join(TOP, "build/bench.json"))
    with open(path, "w") as f:
        json.dump(result, f, indent=1)
    print_all(result)
    say("figures: %s" % path)


if __name__ == "__main__":
    main()
