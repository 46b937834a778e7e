#!/usr/bin/env python3
"""Compare lint's predictions with a suite's results (mqaudit-suite/1, of `mqaudit scenario run`), twin by twin.

usage: lint_suite.py MQAUDIT SUITE.json

A line for each twin. Right is a prediction when all that was found was predicted, and all that was predicted as sure
was found. Twins without a verdict (UNDECIDED, NODATA, ERROR) and scenarios that lint does not know prove nothing, and
are told. Exit code 0: all right, and at least one twin was compared; 1: a wrong prediction; 2: nothing to compare.
"""
import json
import subprocess
import sys

mqaudit, path = sys.argv[1:]
with open(path, encoding="utf-8") as f:
    suite = json.load(f)
assert suite["format"] == "mqaudit-suite/1", suite["format"]
broker = suite.get("broker", "kafka")
client = {"kafka": "librdkafka", "rabbitmq": "rabbitmq-c"}[broker]
# what these do hangs on policies, of which a suite may tell nothing
BY_POLICY = {"mirror-promoted", "partition-ignore", "partition-autoheal", "partition-pause-minority"}

# what the consumers in these do; lint has no rules for consumers of RabbitMQ: what they put back may come out of order
BY_CONSUMERS = {"delivery-limit": {("reordered", "produce")}}


def lint(scenario, twin):
    """What lint says of the twin's settings, or why it refuses them."""
    # the lab's nodes may have settings that are nobody's to set in production
    command = [mqaudit, "lint", "--format", "json", "--client", client, "--allow-unknown"]
    if ((twin.get("settings") or {}).get("probe") or {}).get("republish-unknown") == "true":
        command += ["--republish-unknown"]
    for name, value in policies(twin).items():
        command += ["--policy", f"{name}={value}"]
    # the probe's --transaction brings an id of its own
    own = ((twin.get("settings") or {}).get("client") or {}).get("transactional.id")
    for name, value in {**({"transactional.id": own} if own else {}), **twin.get("producer", {})}.items():
        command += ["-X", f"{name}={value}"]
    for name, value in twin.get("topic", {}).items():
        command += ["--topic-config", f"{name}={value}"]
    for name, value in {**scenario.get("broker", {}), **twin.get("broker", {})}.items():
        command += ["--broker-config", f"{name}={value}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)}: {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def policies(twin):
    """What the suite, or the run's report in it, says of the queue's policies."""
    return twin.get("policy") or (twin.get("settings") or {}).get("policy") or {}


def known():
    """The scenarios that lint has rules for."""
    # with a consumer, even one without settings: otherwise nothing is said of its scenarios
    command = [mqaudit, "lint", "--format", "json", "--client", client, "--consumer-config", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout)
    return {p["scenario"] for p in said["predictions"]} | set(said["safe"])


scenarios = known()
n_right = n_wrong = 0
for scenario in suite["scenarios"]:
    for twin in scenario["twins"]:
        where = f"{scenario['name']} {twin['name']}"
        if scenario["name"] not in scenarios:
            print(f"skip  {where}: lint does not know the scenario")
            continue
        if twin.get("verdict") not in ("PASS", "FAIL") or "producer" not in twin:
            print(f"skip  {where}: {twin.get('verdict')}")
            continue
        classic = twin.get("topic", {}).get("x-queue-type", "classic") == "classic"
        if scenario["name"] in BY_POLICY and classic and not policies(twin):
            print(f"skip  {where}: its policies are not told")
            continue
        said = lint(scenario, twin)
        here = [p for p in said["predictions"] if p["scenario"] == scenario["name"]]
        may = {(p["kind"], p["stage"]) for p in here}
        sure = {(p["kind"], p["stage"]) for p in here if p["sure"]}
        found = {(f["kind"], f["stage"]) for f in twin["found"] if f.get("count", 1) > 0}
        found -= BY_CONSUMERS.get(scenario["name"], set()) if broker == "rabbitmq" else set()
        trouble = [f"{kind} at {stage} was found, and not predicted" for kind, stage in sorted(found - may)]
        trouble += [f"{kind} at {stage} was sure, and not found" for kind, stage in sorted(sure - found)]
        print(f"{'WRONG' if trouble else 'right'} {where}" + "".join(f"\n      {t}" for t in trouble))
        n_wrong += bool(trouble)
        n_right += not trouble
print(f"{n_right} right, {n_wrong} wrong")
sys.exit(1 if n_wrong else 0 if n_right else 2)
