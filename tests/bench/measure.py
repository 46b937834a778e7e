"""What a command costs: CPU time of its threads and of the broker, memory, and what others used meanwhile."""
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B = os.path.join(TOP, os.environ.get("B", "build/rel"))
MQ = os.path.join(B, "mqaudit")
TICK = os.sysconf("SC_CLK_TCK")
DIVIDE = int(os.environ.get("COUNT", "1"))
PARTS = os.environ.get("PARTS", "produce,consume,record,both,latency").split(",")
JVM = ["-Xms512M", "-Xmx512M", "-server", "-XX:+UseG1GC"]  # as kafka-run-class.sh starts its tools


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
    """A lab that is up, the ledger, and the figures so far. What is one broker's own is in a class of its own."""

    kind = lab = None

    def __init__(self, rows):
        status = json.loads(self.mq("lab", "status", self.kind, "--lab", self.lab, "--format", "json"))
        self.bootstrap = status["bootstrap"]
        self.brokers = [n["pid"] for n in status["nodes"]]
        self.version = status["version"]
        self.mq("ledger", "start")
        self.psql = re.search(r'psql (".*")', self.mq("ledger", "status")).group(1).strip('"')
        socket = re.search(r"host=(\S+)/socket", self.psql).group(1)
        with open(socket + "/data/postmaster.pid") as f:
            self.postmaster = int(f.readline())
        self.rows = rows
        self.n = 0

    @staticmethod
    def mq(*words):
        return subprocess.run([MQ, *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    def sql(self, text):
        out = subprocess.run(["psql", self.psql, "-At", "-c", text], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        return out.strip()

    def inside(self, *command):
        """A command in the lab's client namespace, with the lab's own environment."""
        return [MQ, "lab", "exec", self.kind, "--lab", self.lab, "--", *command]

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
        try:
            for p, c in zip(running, commands):
                out = p.stdout.read()
                err = p.stderr.read()
                _, status, _ = os.wait4(p.pid, 0)
                p.returncode = os.waitstatus_to_exitcode(status)
                if p.returncode != 0:
                    raise SystemExit("%s: exit %d\n%s%s" % (" ".join(c), p.returncode, out, err))
                outputs.append(out)
        finally:  # what goes on would start the ledger again that is about to be stopped
            for p in running:
                if p.poll() is None:
                    p.terminate()
                    p.wait()
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
        row = {"broker": self.kind, "part": part, "case": case, "side": side, "messages": messages,
               "seconds": seconds, "rate": messages / seconds, **cost, **more}
        self.rows.append(row)
        say("  %-8s %-12s %-15s %9.0f msg/s  %.2f CPU s/M  (%.2f cores used by others)" % (
            part, case, side, row["rate"], cost["client_cpu_s"] / messages * 1e6,
            cost["others_cores"]))

    def ledger_bytes(self):
        return int(self.sql(
            "select coalesce(sum(pg_total_relation_size(c.oid)), 0) from pg_class c "
            "join pg_namespace n on n.oid = relnamespace where nspname = 'mqaudit' and relkind = 'r'"))

    def probe_seconds(self, run):
        """From the first message that was intended to the last outcome."""
        return float(self.sql(
            "select extract(epoch from max(last_time) - (select min(first_time) from mqaudit.intent i "
            "where i.run_id = o.run_id)) from mqaudit.outcome o join mqaudit.run using (run_id) "
            "where name = '%s' group by o.run_id" % run))

    def checked(self, run):
        """The report of a run that must have passed, and the seconds from its first read to its last."""
        report = json.loads(self.mq("report", run, "--format", "json"))
        if report["verdict"] != "PASS":
            raise SystemExit("the audit of %s ended with %s" % (run, report["verdict"]))
        return report, report["checkers"][-1]["read_ms"] / 1e3
