#!/usr/bin/env python3
"""Stands for mqaudit in the scenarios' scripts (mqaudit scenario run --program): before a checker takes what a queue has,
an independent client writes down what stands there, as TWIN.seen beside the twin's report. A run is a probe here, and
then a checker. $MQAUDIT_REAL is the program, $LOOK the command that prints the identities in the queue behind it."""
import os
import signal
import subprocess
import sys

REAL = os.environ["MQAUDIT_REAL"]
WITH_VALUE = {"--run", "--ledger", "-X", "--producer-config", "--consumer-config", "--drain"}


def value_of(name, args):
    return args[args.index(name) + 1]


def split(args):
    """A run's arguments, as its probe and its checker take them."""
    probe, check = [args[0]], [args[0]]
    rest = iter(args[1:])
    for arg in rest:
        if arg in ("--output", "--status-file"):
            next(rest)
        elif arg == "--no-policy":
            check.append(arg)
        elif arg == "--drain":
            check += [arg, next(rest)]
        elif arg in WITH_VALUE:
            pair = [arg, next(rest)]
            probe += pair
            check += pair
        elif arg == "--quiet":
            probe.append(arg)
            check.append(arg)
        else:
            probe.append(arg)
    return probe, check


def look(args):
    """The queue is the run's name, which is SCENARIO-TWIN-TAG."""
    run = value_of("--run", args)
    tag = os.environ["SCENARIO_TAG"].rsplit("-", 1)[0]
    twin = run[len(os.environ["SCENARIO"]) + 1 : run.rindex("-" + tag)]
    path = os.path.join(os.environ["SCENARIO_FOLDER"], twin)
    with open(path + ".seen", "w") as seen, open(path + ".look", "w") as err:
        if subprocess.run([os.environ["LOOK"], run], stdout=seen, stderr=err).returncode:
            sys.exit(3)


def run(args):
    probe_args, check_args = split(args)
    status = value_of("--status-file", args)
    # a script's background has SIGINT ignored: bash could not listen to it
    told, tell = os.pipe()
    probe = subprocess.Popen([REAL, "probe", *probe_args, "--status-fd", str(tell)], pass_fds=[tell])
    os.close(tell)
    signal.signal(signal.SIGINT, lambda *_: probe.send_signal(signal.SIGINT))
    with os.fdopen(told) as lines:
        for line in lines:  # what it says of itself, for the script: the last
            with open(status + ".new", "w") as new:
                new.write(line)
            os.replace(status + ".new", status)
    probe.wait()
    look(check_args)
    code = subprocess.run([REAL, "check", *check_args]).returncode
    with open(value_of("--output", args).removeprefix("json="), "w") as report:
        subprocess.run([REAL, "report", value_of("--run", args), "--format", "json"], stdout=report)
    return code


def main():
    command, *args = sys.argv[1:]
    if command == "run":
        sys.exit(run(args))
    if command == "check":
        look(args)
    os.execv(REAL, [REAL, command, *args])


main()
