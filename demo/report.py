#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's half of `make demo`: a table of what demo/guest.py recorded.

usage: demo/report.py DIR

Reads run.json, trace.txt and samples.csv in DIR; prints the table and writes
it as results.json, and the points of the picture as cached.csv, creates.csv,
programs.csv and phases.csv. There time is in seconds since the first program.
"""
import csv
import json
import math
import re
import sys

# The commands (enum virtio_gpu_ctrl_type) that make and release a BO. All
# others draw: their number depends on how many frames a program had time for.
BO_COMMANDS = {0x101, 0x102, 0x106, 0x107, 0x10c, 0x202, 0x203, 0x204}

EVENT = re.compile(r".*-(\d+) +\[\d+\] \S+ +(\d+\.\d+): (\w+): (.*)")

HEAD = """\
                                 served from the cache    host commands      create, µs     seconds
program       cache     creates     resource       pages  for BOs    all     mean     p99  to empty"""
ROW = "%-13s %-9s %7s  %11s %11s  %7s %6s  %7s %7s  %8s"
LEGEND = """
resource: a BO went back to the process that freed it, with no host command;
pages: its memory, zeroed, went to any process; for BOs: commands that make and
release them, the others draw; to empty: from the last free to an empty cache."""


def field(fields, name):
    return int(re.search(rf"\b{name}=(\w+)", fields)[1], 0)


def read_trace(path):
    """Returns creates (time, µs), commands (time, type), puts (time, age)."""
    creates, commands, puts, begun = [], [], [], {}
    with open(path, errors="replace") as f:
        for match in filter(None, map(EVENT.match, f)):
            task, t, event, fields = match.groups()
            t = float(t)
            if event == "begin":
                begun[task] = t
            elif event == "end" and task in begun:
                took = t - begun.pop(task)
                if "ret=0" in fields.split():
                    creates.append((t, took * 1e6))
            elif event == "virtio_gpu_cmd_queue":
                commands.append((t, field(fields, "type")))
            elif event == "bo_cache_put":
                puts.append((t, field(fields, "age_us") / 1e6))
    return creates, commands, puts


def read_samples(path):
    """Returns (time, resource bytes, pages bytes, bytes on their way out)."""
    with open(path) as f:
        return [tuple(map(float, row)) for row in list(csv.reader(f))[1:]]


def emptied_after(run, puts, samples):
    """Returns the seconds from the last free to the first sample of zeroes."""
    if not puts or not run["empty"]:
        return None
    last_free = max(t - age for t, age in puts)
    return next(t for t, *sizes in samples
                if t > puts[-1][0] and not any(sizes)) - last_free


def measure(run, cache, trace, samples):
    creates, commands, puts = (
        [row for row in rows if run["begin"] <= row[0] <= run["settled"]]
        for rows in trace)
    return {"program": run["program"], "note": run["note"], "cache": cache,
            "times_us": sorted(us for _, us in creates),
            "hits_resource": run["stats"].get("hits_resource", 0),
            "hits_pages": run["stats"].get("hits_pages", 0),
            "commands_bo": sum(kind in BO_COMMANDS for _, kind in commands),
            "commands": len(commands),
            "empty_s": emptied_after(run, puts, samples)}


def total(rows, cache):
    """Returns a phase's programs as one: sums, and the slowest to be empty."""
    rows = [row for row in rows if row["cache"] == cache]
    sums = {key: sum(row[key] for row in rows) for key in
            ("hits_resource", "hits_pages", "commands_bo", "commands")}
    return {"program": "all", "note": "", "cache": cache, **sums,
            "times_us": sorted(us for row in rows for us in row["times_us"]),
            "empty_s": max((row["empty_s"] for row in rows
                            if row["empty_s"] is not None), default=None)}


def summarize(row):
    times = row.pop("times_us")
    row["creates"] = len(times)
    row["mean_us"] = sum(times) / len(times) if times else 0
    row["p99_us"] = times[math.ceil(len(times) * 0.99) - 1] if times else 0


def show(row, label, cached):
    def served(hits):
        if not cached:
            return "-"
        return "%d %4.0f %%" % (hits, 100 * hits / max(row["creates"], 1))

    empty = "-" if row["empty_s"] is None else "%.2f" % row["empty_s"]
    print(ROW % (label, row["cache"], row["creates"],
                 served(row["hits_resource"]), served(row["hits_pages"]),
                 row["commands_bo"], row["commands"], "%d" % row["mean_us"],
                 "%d" % row["p99_us"], empty))


def show_table(table, phases):
    """Prints each program's phases below one another."""
    print("\n" + HEAD)
    for i, row in enumerate(table):
        phase = phases[i % len(phases)]
        if phase is phases[0]:
            print()
        label = {0: row["program"], 1: row["note"]}.get(i % len(phases), "")
        show(row, label, phase["enabled"])
    print(LEGEND)


def show_verdict(table, kvm, timeout_ms):
    off, on, off_again = (row for row in table if row["program"] == "all")
    hits = on["hits_resource"] + on["hits_pages"]
    commands = off["commands_bo"] + off_again["commands_bo"]
    print("\nWith the cache on, %.0f %% of the creates were served from it, "
          "BOs cost %.0f %% fewer host commands,\nand creates were %.1f times "
          "as fast (mean; against the better of the two runs without)." %
          (100 * hits / on["creates"],
           100 - 200 * on["commands_bo"] / commands,
           min(off["mean_us"], off_again["mean_us"]) / on["mean_us"]))
    if not kvm:
        print("The guest's processor was emulated: its microseconds mean "
              "little, their ratios do.")
    if not kvm and timeout_ms:
        print(f"And as programs start slowly there, freed BOs were kept for "
              f"{timeout_ms / 1000:g} s instead of 1 s.")


def find_faults(result, table):
    """Yields what a working cache would not have let happen."""
    for row in table:
        if row["cache"] != "on" and row["hits_resource"] + row["hits_pages"]:
            yield f"{row['program']} was served from a cache that was off"
    for phase in result["phases"]:
        for run in phase["runs"]:
            if not run["empty"]:
                yield f"the cache did not become empty after {run['program']}"
    if result["cache"] and not any(row["hits_pages"] for row in table):
        yield "nothing was served from the cache"


def write_rows(path, rows):
    with open(path, "w", newline="") as f:
        csv.writer(f).writerows(rows)


def write_points(folder, phases, creates, samples, table):
    start = phases[0]["runs"][0]["begin"]
    runs = [(run, phase["name"]) for phase in phases for run in phase["runs"]]
    mean_us = {(row["program"], row["cache"]): row["mean_us"] for row in table}
    write_rows(folder + "/phases.csv", (
        (phase["runs"][0]["begin"] - start, phase["runs"][-1]["settled"] - start,
         "cache " + phase["name"], int(phase["enabled"])) for phase in phases))
    write_rows(folder + "/programs.csv", (
        (run["begin"] - start, run["settled"] - start, run["program"],
         mean_us[run["program"], cache]) for run, cache in runs))
    write_rows(folder + "/creates.csv", ((t - start, us) for t, us in creates))
    write_rows(folder + "/cached.csv", ((t - start, *sizes)
                                        for t, *sizes in samples))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    with open(folder + "/run.json") as f:
        result = json.load(f)
    phases = result["phases"]
    trace = read_trace(folder + "/trace.txt")
    samples = read_samples(folder + "/samples.csv")

    # By program, the phases of each side by side.
    rows = [measure(run, phase["name"], trace, samples)
            for runs in zip(*(phase["runs"] for phase in phases))
            for run, phase in zip(runs, phases)]
    rows += [total(rows, phase["name"]) for phase in phases]
    for row in rows:
        summarize(row)
    with open(folder + "/results.json", "w") as f:
        json.dump({**result, "table": rows}, f, indent=1)
    write_points(folder, phases, trace[0], samples, rows)
    show_table(rows, phases)
    show_verdict(rows, result["kvm"], result["timeout_ms"])
    faults = list(find_faults(result, rows))
    if faults:
        sys.exit("demo: " + "; ".join(faults))


if __name__ == "__main__":
    main()
