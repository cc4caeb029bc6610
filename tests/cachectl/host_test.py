# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of "virtgpu-cachectl host", with agents that are played here."""

import base64
import contextlib
import json
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import cli

MIB = 1 << 20


class Agent(threading.Thread):
    """A guest's agent on a socket of its own, that holds so many bytes.

    HOW: "well", or "deaf" (does not answer), "mad" (not with JSON), "old" (has no
    guest-exec), "evil" (says so in a way that terminals obey), "torn" (hangs up),
    "slow" (purges for 4 seconds), "broken" (the program fails), "leftover"
    (somebody else's answers come first).
    """

    def __init__(self, path, held, how="well"):
        super().__init__(daemon=True)
        self.path, self.held, self.how = path, held, how
        self.purged_at = []
        self.connections = 0
        self.programs = {}
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            with peer, contextlib.suppress(OSError):
                self.serve(peer)

    def serve(self, peer):
        if self.how == "leftover":
            peer.sendall(b'{"return": {"pid": 1}}\n{"retu')
        for line in peer.makefile("rb"):
            if self.how == "deaf":
                continue
            if self.how == "torn":
                return
            if self.how == "mad":
                peer.sendall(b"\xffhello\n")
                continue
            request = json.loads(line.lstrip(b"\xff"))
            answer = self.answer(request["execute"],
                                 request.get("arguments", {}))
            prefix = b"\xff" * (request["execute"] == "guest-sync-delimited")
            peer.sendall(prefix + json.dumps(answer).encode() + b"\n")

    def answer(self, name, arguments):
        if name == "guest-sync-delimited":
            return {"return": arguments["id"]}
        if name == "guest-exec" and self.how == "old":
            return {"error": {"class": "CommandNotFound",
                              "desc": "The command guest-exec is disabled"}}
        if name == "guest-exec" and self.how == "evil":
            return {"error": {"class": "GenericError",
                              "desc": "\x1b[2Jno\nall: purged \u202e"}}
        if name == "guest-exec":
            pid = 100 + len(self.programs)
            self.programs[pid] = [arguments["path"], *arguments["arg"]]
            self.asked_at = time.monotonic()
            return {"return": {"pid": pid}}
        if name != "guest-exec-status":
            return {"error": {"class": "CommandNotFound", "desc": name}}
        return {"return": self.status(self.programs[arguments["pid"]])}

    def status(self, program):
        if self.how == "slow" and "purge" in program and \
                time.monotonic() < self.asked_at + 4:
            return {"exited": False}
        table = {"devices": [{"resource": self.held, "pages": 0,
                              "purgeable": 0}]}
        if "purge" in program:
            table = {"freed": [{"device": "virtio0", "tier": "resource",
                                "bos": 1, "size": self.held}]}
            self.purged_at.append(time.monotonic())
            self.held = 0
        text = json.dumps(table).encode()
        return {"exited": True, "exitcode": int(self.how == "broken"),
                "out-data": base64.b64encode(text).decode()}

    def close(self):
        self.server.close()


PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\n" \
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


class HostTest(cli.Test):

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.pressure(0)

    def agent(self, name, held, how="well"):
        agent = Agent(self.folder / name, held, how)
        self.addCleanup(agent.close)
        return agent

    def pressure(self, total_us):
        new = self.tree.path("proc/pressure/new")
        self.tree.write("proc/pressure/new", PRESSURE.format(total_us))
        new.rename(new.with_name("memory"))

    def once(self, *args, **more):
        return self.cachectl("host", "--once", *args, **more).splitlines()

    def watch(self, *args):
        """Start it: the process, when it watches."""
        process = subprocess.Popen(
            self.command("host", *args), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.assertRegex(process.stdout.readline(), "^watching ")
        return process

    def until(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "it does not happen")
            time.sleep(0.02)

    def test_largest_first(self):
        """guests purge one after another, the largest first"""
        small = self.agent("a", 20 * MIB)
        large = self.agent("b", 300 * MIB)
        empty = self.agent("c", 0)
        # On a loaded machine the large one may be too late with its answer
        for rounds in range(1, 4):
            small.held, large.held = 20 * MIB, 300 * MIB
            said = self.once(self.folder)
            self.assertEqual((len(large.purged_at), len(small.purged_at)),
                             (rounds, rounds))
            if large.purged_at[-1] < small.purged_at[-1]:
                break
        self.assertLess(large.purged_at[-1], small.purged_at[-1])
        self.assertEqual(empty.purged_at, [])
        self.assertIn(f"{self.folder}/b: holds 300M", said)
        self.assertTrue(any(re.fullmatch(
            f"{self.folder}/b: has purged 300M in .*s", line)
            for line in said), said)

    def test_dry_run(self):
        """a dry run only asks"""
        agent = self.agent("a", 20 * MIB)
        said = self.once("--dry-run", "--bytes", self.folder / "a")
        self.assertEqual(agent.purged_at, [])
        self.assertEqual(said, [f"{self.folder}/a: holds {20 * MIB}",
                                f"{self.folder}/a: would be told to purge"])

    def test_bad_guests(self):
        """who can't be served is named, and delays no other"""
        well = self.agent("z", 20 * MIB)
        leftover = self.agent("y", 10 * MIB, "leftover")
        for how in "deaf", "mad", "old", "evil", "torn", "broken":
            self.agent(how, 30 * MIB, how)
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(self.folder / "stale"))
        stale.close()
        process = subprocess.run(
            self.command("host", "--once", "--guest", self.folder / "none",
                         self.folder), check=False, capture_output=True,
            text=True, timeout=60)
        self.assertEqual((process.returncode, process.stderr),
                         (cli.FAILED, ""))
        # It ends when the deaf one's time is up
        self.assertLess(max(well.purged_at + leftover.purged_at),
                        time.monotonic() - 1)
        for name, why in (("deaf", "no agent answers in the guest"),
                          ("mad", "the agent does not answer as one"),
                          ("old", "the agent says: The command guest-exec is "
                           "disabled"), ("torn", "it hung up"),
                          ("evil", "the agent says: ?[2Jno?all: purged ???"),
                          ("broken", "its virtgpu-cachectl ended with status 1"),
                          ("stale", "Connection refused"),
                          ("none", "No such file or directory")):
            self.assertIn(f"{self.folder}/{name}: {why}",
                          process.stdout.splitlines())

    def test_slow(self):
        """a guest that is slow does not hold up another"""
        slow, quick = self.agent("a", 300 * MIB, "slow"), self.agent("b", 5 * MIB)
        self.once(self.folder)
        self.assertLess(quick.purged_at[0], slow.purged_at[0] - 2)

    def test_unprivileged(self):
        """it takes no more than that the sockets can be used"""
        agent = self.agent("a", 20 * MIB)
        self.folder.chmod(0o755)
        agent.path.chmod(0o666)
        self.once(self.folder, **self.as_nobody())
        self.assertEqual(len(agent.purged_at), 1)

    def test_no_guest(self):
        """without a guest there is nothing to be done"""
        self.assertIn("there is no guest",
                      self.cachectl("host", "--once", self.folder,
                                    status=cli.FAILED))
        self.cachectl("host", "--once", status=cli.USAGE)

    def test_pressure(self):
        """pressure has guests purge, then nobody is asked for a while"""
        agent = self.agent("a", 20 * MIB)
        process = self.watch("--cool-down", "2s", self.folder)
        time.sleep(1)
        self.pressure(99000)
        time.sleep(1)
        self.assertEqual(agent.connections, 0)
        self.pressure(400000)
        self.until(lambda: agent.purged_at)
        agent.held = 20 * MIB
        for more in range(1, 6):
            self.pressure(400000 + more * 300000)
            time.sleep(0.2)
        self.assertEqual(len(agent.purged_at), 1)
        self.until(lambda: self.pressure(int(time.monotonic() * 1e6)) or
                   len(agent.purged_at) > 1)
        self.assertGreaterEqual(agent.purged_at[1] - agent.purged_at[0], 2)
        process.terminate()
        said = process.communicate(timeout=30)[0]
        self.assertEqual(process.returncode, cli.DONE, said)
        self.assertIn("memory is short: 1 of 1 guests are asked", said)

    def test_back_off(self):
        """a guest that fails is named once, tried less and less, and welcome"""
        agent = self.agent("a", 20 * MIB, "torn")
        process = self.watch("--cool-down", "1ms", "--stall", "1ms", self.folder)
        # Under pressure all the time
        end = time.monotonic() + 8
        while time.monotonic() < end:
            self.pressure(int(time.monotonic() * 1e6))
            time.sleep(0.1)
        self.assertIn(agent.connections, range(3, 6))
        agent.how = "well"
        self.until(lambda: self.pressure(int(time.monotonic() * 1e6)) or
                   agent.purged_at)
        process.terminate()
        said = process.communicate(timeout=30)[0]
        self.assertEqual(said.count("it hung up"), 1)
        self.assertEqual(said.count("answers again"), 1)

    def test_new_guests(self):
        """guests that come to the folder later are served too"""
        process = self.watch(self.folder)
        agent = self.agent("a", 20 * MIB)
        self.pressure(500000)
        self.until(lambda: agent.purged_at)
        self.assertEqual(process.poll(), None)

    def test_not_watchable(self):
        """what can't be watched is said"""
        self.assertIn("cgroup v2", self.cachectl(
            "host", "--cgroup", "/no/such", self.folder, status=cli.FAILED))
        self.tree.path("proc/pressure/memory").unlink()
        self.assertIn("psi=1", self.cachectl("host", self.folder,
                                             status=cli.FAILED))
        for bad in "0", "2s", "x":
            self.cachectl("host", "--stall", bad, self.folder,
                          status=cli.USAGE)

    def test_watch_ends(self):
        """a cgroup that is removed ends it"""
        self.tree.write("cgroup/memory.pressure", PRESSURE.format(0))
        process = self.watch("--cgroup", "/cgroup", self.folder)
        self.tree.path("cgroup/memory.pressure").unlink()
        said = process.communicate(timeout=30)[0]
        self.assertEqual(process.returncode, cli.FAILED)
        self.assertIn("/cgroup/memory.pressure: is gone", said)

    def test_signals(self):
        """it ends by SIGINT too"""
        process = self.watch(self.folder)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), cli.DONE)
