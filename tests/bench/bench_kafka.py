"""The bench on Kafka: mqaudit against bare librdkafka loops and Kafka's own perf tools."""
import json
import os
import re
import subprocess

from measure import B, DIVIDE, JVM, MQ, PARTS, Bench

BARE = os.path.join(B, "tests/bench/bare")
CASES = [("100B/12p", 100, 12, 4_000_000), ("100B/1p", 100, 1, 4_000_000),
         ("1KiB/12p", 1024, 12, 600_000), ("1KiB/1p", 1024, 1, 600_000)]
RECORD_CASE = CASES[0][0]
# The same for every side: what the probe is measured with is what the bare loop has.
PRODUCER = ["acks=all", "enable.idempotence=true"]
LAB = "bench%d" % os.getpid()
BROKER_JVM = "-Xms1G -Xmx1G -server -XX:+UseG1GC"  # as kafka-server-start.sh, not the lab's small JVM
LAB_UP = ["--broker-config", "log.segment.delete.delay.ms=1000", "--jvm-options", BROKER_JVM]

# part, ours, theirs, name, (floor, goal) of the rate, (floor, goal) of the CPU; None: no goal was set
RATIOS = [
    ("produce", "probe", "bare plain", "probe / plain librdkafka loop", (1.2, 1.6), (1.15, 0.8)),
    ("produce", "probe", "bare own", "probe / the same, each message its own bytes", (1.2, 1.6), (1.15, 0.8)),
    ("produce", "probe", "bare batch", "probe / its own loop without audit", None, None),
    ("produce", "probe", "perf tool", "probe / kafka-producer-perf-test", (1.3, 1.8), (0.5, 0.25)),
    ("consume", "checker", "bare", "checker / bare consumer", (0.85, 1.0), None),
    ("consume", "checker", "perf tool", "checker / kafka-consumer-perf-test", (0.6, 1.0), (1.0, 0.8)),
    ("consume", "checker, rows", "bare", "checker with a row per message / bare consumer", (0.45, 0.7), None),
    ("both", "run", "bare", "both at once / both bare loops", (1.0, 1.5), None),
]


class KafkaBench(Bench):
    kind, lab = "kafka", LAB

    def __init__(self, rows):
        super().__init__(rows)
        script = self.mq("lab", "exec", "kafka", "--lab", LAB, "--", "sh", "-c",
                         'cat "$(command -v kafka-topics)"')
        # the jars' class path, as the lab's own wrappers have it
        self.java_args = re.search(r"^lab='(.*)'$", script, re.M).group(1) + "/java.args"

    def about(self):
        return "Kafka %s, one broker, %s" % (self.version, " ".join(PRODUCER))

    def java(self, name, *words):
        return self.inside("java", *JVM, "-Dlog4j2.level=OFF", "@" + self.java_args,
                           "org.apache.kafka.tools." + name, *words)

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
        self.note("produce", case, "probe", count, self.probe_seconds(topic), cost,
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
        self.note("consume", case, side, count, self.checked(topic)[1], cost)

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

    # ---- the parts ----

    def one_case(self, case, size, partitions, count, turn):
        sides = [self.bare_produce("plain"), self.bare_produce("own"), self.bare_produce("batch"),
                 self.java_produce]
        sides.insert(turn % 5, self.probe)
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
                _, seconds = self.checked(topic)
            else:
                out, cost = self.measure([
                    self.inside(BARE, "consume", self.bootstrap, topic, str(partitions), str(count),
                                "queued.min.messages=1000000", "check.crcs=true"),
                    self.inside(BARE, "produce-own", self.bootstrap, topic, str(partitions),
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
        report, _ = self.checked(topic)
        self.note("latency", "100B/12p", "run at 10k/s", count, cost["wall_s"], cost,
                  latency=report["latency"])
        self.drop(topic)

    def case(self, turn, name, size, partitions, count):
        """Each side of a case once."""
        if "produce" in PARTS or "consume" in PARTS:
            self.one_case(name, size, partitions, count // DIVIDE, turn)
        if "both" in PARTS and partitions > 1:
            self.both(name, size, partitions, count // DIVIDE, turn)

    def end_turn(self):
        if "latency" in PARTS:
            self.latency()
