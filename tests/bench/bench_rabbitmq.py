"""The bench on RabbitMQ: mqaudit against bare rabbitmq-c loops and RabbitMQ's PerfTest.

One connection and one channel on every side, publisher confirms with the same window, the same prefetch. Each
side has a queue of its own, which it publishes to and which is then read; messages are persistent.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile

from measure import B, DIVIDE, JVM, MQ, PARTS, TOP, Bench, say

BARE = os.path.join(B, "tests/bench/bare_rabbitmq")
CASES = [("%s/%s" % (kind, name), kind, size, count)
         for kind, count in (("classic", 60_000), ("quorum", 100_000), ("stream", 200_000))
         for name, size in (("100B", 100), ("1KiB", 1024))]
BOTH_SIZE = 100
WINDOW = 2000     # the probe's and the checker's own defaults, said to everybody
PREFETCH = 10000
LAB = "benchr%d" % os.getpid()
LAB_UP = []
# part, ours, theirs, name, (floor, goal) of the rate, (floor, goal) of the CPU; None: no goal was set
RATIOS = [
    ("produce", "probe", "bare", "probe / bare rabbitmq-c loop", (0.9, 1.0), None),
    ("produce", "probe", "perf tool", "probe / PerfTest", (0.95, 1.2), None),
    ("consume", "checker", "bare", "checker / bare rabbitmq-c loop", (0.9, 1.0), None),
    ("consume", "checker", "perf tool", "checker / PerfTest", (1.0, 1.5), None),
    ("both", "run", "bare", "both at once / both bare loops", (0.9, 1.0), None),
]


def perf_test():
    """Folder and version of PerfTest's jars, fetched once by Maven beside Kafka's; None, None: they cannot be had."""
    pom = os.path.join(TOP, "tests/bench/perf-test.pom.xml")
    with open(pom) as f:
        version = re.search(r"<artifactId>perf-test</artifactId>\s*<version>([\d.]{2,})<", f.read()).group(1)
    dist = os.environ["MQAUDIT_DIST"]
    libs = os.path.join(dist, "perf-test-" + version)
    if not os.path.isdir(libs):
        say("PerfTest %s is fetched (once)" % version)
        os.makedirs(dist, exist_ok=True)
        new = tempfile.mkdtemp(prefix="perf-test.", dir=dist)
        try:
            subprocess.run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies",
                            "-DincludeScope=runtime", "-DoutputDirectory=" + new],
                           check=True, timeout=300, stdout=subprocess.DEVNULL)
            os.chmod(new, 0o755)
            os.rename(new, libs)
        except (OSError, subprocess.SubprocessError) as e:
            shutil.rmtree(new, ignore_errors=True)
            if not os.path.isdir(libs):  # nor has another bench fetched it meanwhile
                say("PerfTest cannot be had: %s" % e)
                return None, None
    return libs, version


class RabbitmqBench(Bench):
    kind, lab = "rabbitmq", LAB

    def __init__(self, rows):
        super().__init__(rows)
        self.libs, self.perf_version = perf_test()

    def about(self):
        return "RabbitMQ %s, one node, %s, confirms with a window of %d, prefetch %d" % (
            self.version, "PerfTest " + self.perf_version if self.libs else "PerfTest could not be had",
            WINDOW, PREFETCH)

    def bare(self, *words):
        return self.inside(BARE, *(str(w) for w in words))

    def run_bare(self, *words):
        subprocess.run(self.bare(*words), check=True)

    def url(self, queue):
        return "amqp://lab:%s/%s" % (LAB, queue)

    def queue(self, kind):
        self.n += 1
        name = "bench-%d" % self.n
        self.run_bare("declare", name, kind)
        return name

    def drop(self, queue):
        self.run_bare("delete", queue)

    # ---- the sides ----

    def probe_words(self, queue, size, count):
        return [self.url(queue), "--run", queue, "--count", str(count), "--size", str(size), "--quiet",
                "-X", "window=%d" % WINDOW]

    def probe(self, case, queue, size, count):
        _, cost = self.measure([[MQ, "probe", *self.probe_words(queue, size, count)]])
        self.note("produce", case, "probe", count, self.probe_seconds(queue), cost)

    def checker(self, case, queue, count):
        drain = [] if case.startswith("stream") else ["--drain", "end"]
        _, cost = self.measure([[MQ, "check", self.url(queue), "--run", queue, "--quiet", *drain]])
        self.note("consume", case, "checker", count, self.checked(queue)[1], cost)

    def bare_produce(self, case, queue, size, count):
        (out,), cost = self.measure([self.bare("produce", queue, count, size, WINDOW)])
        self.note("produce", case, "bare", count, json.loads(out)["seconds"], cost)

    def bare_consume_words(self, case, queue, count):
        return ["consume", queue, count, PREFETCH] + (["stream"] if case.startswith("stream") else [])

    def bare_consume(self, case, queue, count):
        (out,), cost = self.measure([self.bare(*self.bare_consume_words(case, queue, count))])
        self.note("consume", case, "bare", count, json.loads(out)["seconds"], cost)

    def perf_test(self, queue, *words):
        script = 'exec java "$@" --uri "$RABBITMQ_URL"'
        (out,), cost = self.measure([self.inside(
            "sh", "-c", script, "sh", *JVM, "-cp", self.libs + "/*", "com.rabbitmq.perf.PerfTest",
            "--predeclared", "--queue", queue, *(str(w) for w in words))])
        return out, cost

    def perf_produce(self, case, queue, size, count):
        out, cost = self.perf_test(
            queue, "--exchange", "", "--routing-key", queue, "--producers", 1, "--consumers", 0, "--size", size,
            "--flag", "persistent", "--confirm", WINDOW, "--pmessages", count)
        rate = float(re.search(r"sending rate avg: (\d+) msg/s", out).group(1))
        self.note("produce", case, "perf tool", count, count / rate, cost)

    def perf_consume(self, case, queue, count):
        stream = ["--stream-consumer-offset", "first"] if case.startswith("stream") else []
        out, cost = self.perf_test(
            queue, "--producers", 0, "--consumers", 1, "--qos", PREFETCH, "--multi-ack-every", PREFETCH // 10,
            "--cmessages", count, *stream)
        rate = float(re.search(r"receiving rate avg: (\d+) msg/s", out).group(1))
        self.note("consume", case, "perf tool", count, count / rate, cost)

    # ---- the parts ----

    def one_case(self, case, kind, size, count, turn):
        sides = [(self.bare_produce, self.bare_consume)]
        if self.libs:
            sides.append((self.perf_produce, self.perf_consume))
        sides.insert(turn % (len(sides) + 1), (self.probe, self.checker))
        queues = [self.queue(kind) for _ in sides]
        for (produce, _), queue in zip(sides, queues):
            produce(case, queue, size, count)
        if "consume" in PARTS:
            for (_, consume), queue in zip(sides, queues):
                consume(case, queue, count)
        for queue in queues:
            self.drop(queue)

    def both(self, case, kind, size, count, turn):
        for side in (("run", "bare") if turn % 2 else ("bare", "run")):
            queue = self.queue(kind)
            if side == "run":
                _, cost = self.measure([[MQ, "run", *self.probe_words(queue, size, count)]])
                _, seconds = self.checked(queue)
            else:
                out, cost = self.measure([self.bare(*self.bare_consume_words(case, queue, count)),
                                          self.bare("produce", queue, count, size, WINDOW)])
                seconds = json.loads(out[0])["ended"] - json.loads(out[1])["began"]
            self.note("both", case, side, count, seconds, cost)
            self.drop(queue)

    def warm_up(self):
        for _, kind, size, count in CASES:
            if size == BOTH_SIZE:
                queue = self.queue(kind)
                self.measure([self.bare("produce", queue, count // 4, size, WINDOW)])
                self.measure([self.bare(*self.bare_consume_words(kind, queue, count // 4))])
                self.drop(queue)

    def case(self, turn, name, kind, size, count):
        """Each side of a case once."""
        if "produce" in PARTS or "consume" in PARTS:
            self.one_case(name, kind, size, count // DIVIDE, turn)
        if "both" in PARTS and size == BOTH_SIZE:
            self.both(name, kind, size, count // DIVIDE, turn)

    def end_turn(self):
        """Nothing more is measured on RabbitMQ."""
