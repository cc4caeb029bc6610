#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's half of `make demo`.

Runs real Mesa programs with the BO cache off, on and off again, and records
what the driver did: a kernel trace (every create as a program sees it, every
command put on the control queue, every BO put in the cache), the cache's size
twenty times a second and its counters around each program. Everything carries
CLOCK_MONOTONIC. Nothing is evaluated here: an emulated guest has better use
for its processor, and demo/report.py does it on the host.
"""
import argparse
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

TRACING = "/sys/kernel/tracing"
SAMPLED = ("held_resource_bytes", "held_pages_bytes", "release_bytes")
SAMPLE_PERIOD = 0.05
SETTLE = 0.5            # after each program: the host's last answers
EMPTY_TIMEOUT = 20
PROGRAM_TIMEOUT = 120

# From one program's end to where the next creates its BOs takes a moment, or a
# second and more on an emulated processor, as if the user came back late.
EMULATED_TIMEOUT_MS = 3000

# RESOURCE_CREATE, RESOURCE_CREATE_BLOB and MODE_CREATE_DUMB. drm_ioctl() is
# probed rather than the driver, whose functions are static and may move.
CREATES = " || ".join("cmd == " + nr
                      for nr in ("0xc0386444", "0xc030644a", "0xc02064b2"))
PROBES = """\
f:demo/begin drm_ioctl cmd=$arg2:x32
f:demo/end drm_ioctl%return cmd=$arg2:x32 ret=$retval:s32
"""


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read().strip()


class Cache:
    """The cache's sysfs folder; on the stock driver there is none."""

    def __init__(self):
        found = glob.glob("/sys/bus/virtio/drivers/virtio_gpu/virtio*/bo_cache")
        self.path = found[0] if found else None

    def enable(self, on):
        if self.path:
            write(self.path + "/enabled", "1" if on else "0")

    def keep_longer(self):
        if self.path:
            write(self.path + "/timeout_ms", str(EMULATED_TIMEOUT_MS))

    def knob(self, name):
        return int(read(f"{self.path}/{name}")) if self.path else None

    def stats(self):
        if not self.path:
            return {}
        with os.scandir(self.path + "/stats") as entries:
            return {e.name: int(read(e.path)) for e in entries}


class Sampler(threading.Thread):
    """Reads the cache's size every SAMPLE_PERIOD."""

    def __init__(self, cache):
        super().__init__(daemon=True)
        self.samples = []
        self.fds = [os.open(f"{cache.path}/stats/{name}", os.O_RDONLY)
                    for name in SAMPLED] if cache.path else []
        self.stopped = threading.Event()

    def sample(self):
        sizes = [int(os.pread(fd, 32, 0)) for fd in self.fds]
        self.samples.append((time.monotonic(), *(sizes or (0, 0, 0))))

    def run(self):
        while not self.stopped.wait(SAMPLE_PERIOD):
            self.sample()

    def wait_empty(self):
        """Returns whether a sample taken after the call showed an empty cache."""
        deadline = time.monotonic() + EMPTY_TIMEOUT
        seen = len(self.samples)
        while time.monotonic() < deadline:
            time.sleep(SAMPLE_PERIOD)
            if len(self.samples) > seen and not any(self.samples[-1][1:]):
                return True
        return False

    def stop(self, path):
        self.stopped.set()
        self.join()
        with open(path, "w") as f:
            f.write("seconds," + ",".join(SAMPLED) + "\n")
            for t, *sizes in self.samples:
                f.write("%.3f,%d,%d,%d\n" % (t, *sizes))


class Trace:
    """A trace instance of our own, so that nobody else's tracing is touched."""

    def __init__(self):
        self.path = TRACING + "/instances/demo"
        write(TRACING + "/dynamic_events", PROBES)
        os.mkdir(self.path)
        write(self.path + "/trace_clock", "mono")
        write(self.path + "/buffer_size_kb", "32768")
        self.enable("demo/begin", CREATES)
        self.enable("demo/end", CREATES)
        self.enable("virtio_gpu/virtio_gpu_cmd_queue", 'name == "control"')
        if os.path.isdir(self.path + "/events/virtio_gpu_bo_cache"):
            self.enable("virtio_gpu_bo_cache/bo_cache_put")

    def enable(self, event, event_filter=None):
        folder = f"{self.path}/events/{event}"
        if event_filter:
            write(folder + "/filter", event_filter)
        write(folder + "/enable", "1")

    def stop(self, path):
        write(self.path + "/tracing_on", "0")
        for stats in glob.glob(self.path + "/per_cpu/cpu*/stats"):
            if "\noverrun: 0\n" not in read(stats):
                sys.exit("the trace buffer was too small")
        shutil.copyfile(self.path + "/trace", path)


class Log:
    """Where the programs' own output goes."""
    file = None


def spawn(*command):
    Log.file.write(f"$ {' '.join(command)}\n")
    Log.file.flush()
    return subprocess.Popen(command, stdin=subprocess.DEVNULL,
                            stdout=Log.file, stderr=subprocess.STDOUT)


def finish(process, good=(0,)):
    try:
        status = process.wait(PROGRAM_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        status = "a timeout"
    if status not in good:
        sys.exit(f"{process.args[0]} ended with {status}: see programs.log")


def interrupt(process):
    process.send_signal(signal.SIGINT)
    finish(process, (0, -signal.SIGINT))


def kmscube():
    for _ in range(10):
        finish(spawn("kmscube", "-N", "-c", "2"))


def weston():
    """A compositor and its clients; one comes before its forerunner goes."""
    socket = os.environ["XDG_RUNTIME_DIR"] + "/demo"
    # Ten frames a second: an emulated processor cannot keep up with sixty,
    # and the number of frames is to be the same in every phase.
    server = spawn("weston", "--backend=headless", "--renderer=gl",
                   "--no-config", "--idle-time=0",
                   "--refresh-rate=10000", "--socket=demo")
    deadline = time.monotonic() + PROGRAM_TIMEOUT
    while not os.path.exists(socket):
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit("weston did not start: see programs.log")
        time.sleep(0.1)
    os.environ["WAYLAND_DISPLAY"] = "demo"
    clients = []
    for _ in range(8):
        clients.append(spawn("weston-simple-egl"))
        time.sleep(1.5)
        if len(clients) > 1:
            interrupt(clients.pop(0))
    interrupt(clients.pop())
    interrupt(server)


def glmark2():
    scenes = ("build", "texture", "shading", "bump", "desktop")
    benchmarks = [arg for scene in scenes
                  for arg in ("-b", scene + ":duration=1.0")]
    # Off screen, because it picks the device's largest mode, and that fails.
    finish(spawn("glmark2-es2-drm", "--off-screen", *benchmarks))


def churn():
    finish(spawn("/mnt/share/churn", "400"))


PROGRAMS = ((kmscube, "10 processes"), (weston, "8 clients"),
            (glmark2, "5 scenes"), (churn, "dumb buffers"))
PHASES = (("off", False), ("on", True), ("off again", False))


def run(program, note, cache, sampler):
    before = cache.stats()
    begin = time.monotonic()
    program()
    end = time.monotonic()
    empty = sampler.wait_empty()
    time.sleep(SETTLE)
    after = cache.stats()
    return {"program": program.__name__, "note": note, "begin": begin,
            "end": end, "settled": time.monotonic(), "empty": empty,
            "stats": {name: after[name] - before[name] for name in after}}


def run_phase(name, enabled, cache, sampler):
    cache.enable(enabled)
    runs = []
    for program, note in PROGRAMS:
        print(f"  cache {name + ':':10} {program.__name__:8}", end="", flush=True)
        runs.append(run(program, note, cache, sampler))
        print(" %3.0f s" % (runs[-1]["end"] - runs[-1]["begin"]), flush=True)
    return {"name": name, "enabled": enabled, "runs": runs}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--stock", action="store_true",
                        help="go on if the driver has no cache (for development)")
    parser.add_argument("--out", default="/mnt/share", metavar="DIR")
    args = parser.parse_args()

    cache = Cache()
    if not cache.path and not args.stock:
        sys.exit("no /sys/bus/virtio/drivers/virtio_gpu/virtio*/bo_cache: "
                 "the loaded virtio-gpu has no BO cache")
    Log.file = open(args.out + "/programs.log", "w")
    kvm = "kvm-clock" in read("/sys/devices/system/clocksource/clocksource0/"
                              "available_clocksource")
    cache.enable(False)
    if not kvm:
        cache.keep_longer()
    print("  warming up", flush=True)
    for program, _ in PROGRAMS:     # reads files, fills Mesa's shader cache ...
        program()
    trace, sampler = Trace(), Sampler(cache)
    sampler.start()
    phases = [run_phase(*phase, cache, sampler) for phase in PHASES]
    sampler.stop(args.out + "/samples.csv")
    trace.stop(args.out + "/trace.txt")
    result = {"kernel": os.uname().release,
              "kvm": kvm,
              "cache": bool(cache.path),
              "timeout_ms": cache.knob("timeout_ms"),
              "max_bytes": cache.knob("max_bytes"),
              "phases": phases}
    write(args.out + "/run.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
