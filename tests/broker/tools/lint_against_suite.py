"""What `mqaudit lint` predicts of each twin's settings, against what a suite found.

    lint_against_suite.py MQAUDIT SUITE.json

Whatever was found must be predicted, and what lint calls sure must be found. A line for each difference; exit code 1
if there is one. Scenarios that lint has no word about are counted.
"""
import json
import subprocess
import sys


def predictions(mqaudit, twin, broker):
    """What lint says: {(kind, stage): sure} by scenario, and the scenarios that it calls safe."""
    args = [mqaudit, "lint", "--format", "json", "--client", "librdkafka", "--allow-unknown"]
    if isinstance(twin.get("promise"), str):
        args += ["--promise", twin["promise"]]
    for name, value in twin["producer"].items():
        args += ["-X", f"{name}={value}"]
    for name, value in twin["topic"].items():
        args += ["--topic-config", f"{name}={value}"]
    for setting in broker:
        args += ["--broker-config", setting]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"lint of {twin['name']}: exit code {done.returncode}: {done.stderr}")
    said = json.loads(done.stdout)
    by_scenario = {name: {} for name in said["safe"]}
    for p in said["predictions"]:
        by_scenario.setdefault(p["scenario"], {})[(p["kind"], p["stage"])] = p["sure"]
    return by_scenario


def main():
    mqaudit, path = sys.argv[1:3]
    with open(path, encoding="utf-8") as file:
        suite = json.load(file)
    compared = wrong = 0
    unknown = set()
    for scenario in suite["scenarios"]:
        for twin in scenario["twins"]:
            if twin["role"] == "mine" or twin["outcome"] == "error":
                continue
            broker = []
            if twin.get("round") in ("elr-on", "elr-off"):
                broker = [f"eligible.leader.replicas.version={int(twin['round'] == 'elr-on')}"]
            said = predictions(mqaudit, twin, broker).get(scenario["name"])
            if said is None:
                unknown.add(scenario["name"])
                continue
            compared += 1
            found = {(f["kind"], f["stage"]) for f in twin["found"]}
            where = f"{scenario['name']} {twin['name']}"
            for kind, stage in sorted(found - set(said)):
                wrong += 1
                print(f"{where}: {kind} at {stage} was found and is not predicted")
            for (kind, stage), sure in sorted(said.items()):
                if sure and (kind, stage) not in found:
                    wrong += 1
                    print(f"{where}: {kind} at {stage} is predicted as sure and was not found")
    print(f"{compared} twins compared, {wrong} wrong; nothing is said about: {', '.join(sorted(unknown)) or 'none'}")
    sys.exit(wrong > 0 or compared == 0)


main()
