# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of scripts/guest: statuses, what it passes on, what it leaves behind.

All other tests believe what it says, so a status that is lost, a report of
the kernel that is overlooked, must show up here.
"""

import importlib.machinery
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import uuid
from pathlib import Path

GUEST = Path(__file__).resolve().parent.parent / "scripts/guest"


def guest(*args):
    """Run a small guest on the stock driver."""
    return subprocess.run([str(GUEST), "--gpu", "2d", "--stock", *args],
                          capture_output=True, text=True, check=False,
                          timeout=300)


def processes(mark):
    """Those that have MARK in their command line, as QEMU in its --append."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass        # it has ended meanwhile
    return found


def script():
    """scripts/guest as a module."""
    loader = importlib.machinery.SourceFileLoader("guest", str(GUEST))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("guest", loader))
    sys.path.append(str(GUEST.parent))
    loader.exec_module(module)
    return module


class GuestTest(unittest.TestCase):

    def test_trips(self):
        """only what an emulator broke before the first process is tried again"""
        module = script()
        trip, other, first = (
            b"[    3.159301] Oops: int3: 0000 [#1] SMP NOPTI\n",
            b"[    3.159301] Oops: general protection fault: 0000 [#1]\n",
            b"[    6.896620] Run /init as init process\n")
        for log, kvm, again in (
                (trip, None, True), (trip, "vmx", False), (b"", None, False),
                (other, None, False), (first + trip, None, False)):
            guest = module.Guest.__new__(module.Guest)
            guest.text = {"log": log}
            with unittest.mock.patch.object(module, "KVM", kvm):
                self.assertEqual(bool(guest.tripped()), again, log)

    def test_command(self):
        """the command's status, output and files are passed on"""
        with tempfile.TemporaryDirectory() as share:
            ran = guest("--share", share, "--", "sh", "-c",
                        "echo out; echo err >&2; echo file > /mnt/share/f; "
                        "! touch /mnt/project/f || echo writable; exit 7")
            self.assertEqual(ran.returncode, 7)
            self.assertEqual(ran.stdout, "out\n")
            self.assertIn("err\n", ran.stderr)
            self.assertEqual(Path(share, "f").read_text("ascii"), "file\n")
            self.assertIn("Linux version",
                          Path(share, "kernel.log").read_text("utf-8"))

    def test_arguments(self):
        """arguments keep their spaces and quotes"""
        words = ["a b", "'", '"', "$x", "\\", ""]
        ran = guest("--", "printf", "%s\\n", *words)
        self.assertEqual(ran.stdout.splitlines(), words)
        self.assertEqual(ran.returncode, 0)

    def test_icount(self):
        """instructions are counted: the same ones take the same time again"""
        ran = guest("--icount", "--smp", "1", "--", "bash", "-c",
                    "TIMEFORMAT=%R; for n in 1 2 3 4 5; do "
                    "time for ((i = 0; i < 200000; i++)); do :; done; done")
        times = sorted(float(line) for line in ran.stderr.split()
                       if re.fullmatch(r"\d+\.\d+", line))
        self.assertEqual((ran.returncode, len(times)), (0, 5), ran.stderr)
        self.assertLess(times[3] / times[1], 1.02)
        ran = guest("--icount", "--smp", "2", "--", "true")
        self.assertEqual(ran.returncode, 125)
        self.assertIn("--smp 1", ran.stderr)

    def test_warning(self):
        """a warning of the kernel's is status 121, and is shown"""
        ran = guest("--", "sh", "-c",
                    "echo '<4>WARNING: a test' > /dev/kmsg")
        self.assertEqual(ran.returncode, 121)
        self.assertIn("WARNING: a test", ran.stderr)

    def test_panic(self):
        """a panic is status 121, also when nothing more comes out"""
        ran = guest("--", "sh", "-c",
                    "echo c > /proc/sysrq-trigger; sleep 100")
        self.assertEqual(ran.returncode, 121)
        self.assertIn("sysrq triggered crash", ran.stderr)

    def test_qemu_dies(self):
        """a QEMU that dies under the command is status 122"""
        mark = f"mark={uuid.uuid4()}"
        with subprocess.Popen(
                [str(GUEST), "--gpu", "2d", "--stock", "--append", mark,
                 "--", "sh", "-c", "echo up; sleep 100"], text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            self.assertEqual(process.stdout.readline(), "up\n")
            names = {pid: Path(f"/proc/{pid}/comm").read_text("utf-8")
                     for pid in processes(mark)}
            for pid, name in names.items():
                if name.startswith("qemu-system"):
                    os.kill(pid, signal.SIGSEGV)
            _, err = process.communicate(timeout=100)
            self.assertEqual(process.returncode, 122, err)
        self.assertEqual(processes(mark), [])

    def test_qemu_refuses(self):
        """a guest that QEMU does not start is status 125"""
        ran = guest("--qemu", "-device no-such-device", "--", "true")
        self.assertEqual(ran.returncode, 125)
        self.assertIn("no-such-device", ran.stderr)

    def test_timeout(self):
        """a command that takes too long is status 124"""
        ran = guest("--timeout", "20", "--", "sleep", "100")
        self.assertEqual(ran.returncode, 124)

    def test_interrupt(self):
        """an interrupted guest leaves no process and no file behind"""
        mark = f"mark={uuid.uuid4()}"
        with tempfile.TemporaryDirectory() as tmp:
            before = set(os.listdir("/tmp"))
            with subprocess.Popen(
                    [str(GUEST), "--gpu", "virgl", "--stock", "--append",
                     mark, "--", "sh", "-c", "echo up; sleep 100"],
                    env=dict(os.environ, TMPDIR=tmp), text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                self.assertEqual(process.stdout.readline(), "up\n")
                # the control: the mark is where it is looked for
                self.assertGreater(len(processes(mark)), 1)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)
                self.assertNotEqual(process.returncode, 0)
            self.assertEqual(processes(mark), [])
            self.assertEqual(os.listdir(tmp), [])
            # Others' files come and go there too
            left = [name for name in set(os.listdir("/tmp")) - before
                    if re.match(r"\.X\d|xvfb|guest", name)]
            self.assertEqual(left, [])


if __name__ == "__main__":
    unittest.main()
