# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that change something: set, reset, purge."""

import os
import subprocess
import unittest

import cli
from cli import DENIED, FAILED, USAGE
import tree

RULES = "etc/udev/rules.d"
ALL = f"{RULES}/90-virtgpu-cachectl.rules"
ONE = f"{RULES}/91-virtgpu-cachectl-0000:00:03.0.rules"


class SetTest(cli.Test):
    devices = 2

    def knobs(self):
        return {(number, name): self.knob(name, number)
                for number in range(2) for name in tree.KNOBS}

    def refuse(self, name, number):
        """Have the kernel refuse what is written to a knob."""
        path = self.tree.path(self.tree.cache(number, name))
        path.unlink()
        path.symlink_to("/dev/full")

    def test_units(self):
        """units are understood, bare numbers are milliseconds and bytes"""
        for setting, value in (
                ("timeout_ms=2s", "2000"), ("timeout_ms=0", "0"),
                ("timeout_ms=250", "250"), ("timeout_ms=1.5S", "1500"),
                ("timeout_ms=1min", "60000"), ("timeout_ms=.5s", None),
                ("timeout_ms=0.0004s", None), ("timeout_ms=1.5", None),
                ("timeout_ms=1.s", None), ("timeout_ms=2 s", None),
                ("timeout_ms=", None), ("timeout_ms=-1", None),
                ("timeout_ms=+1", None), ("timeout_ms=1e3", None),
                ("timeout_ms=1M", None), ("max_bytes=0x10", None),
                ("max_bytes=4096", "4096"), ("max_bytes=64M", "67108864"),
                ("max_bytes=1.25KiB", "1280"), ("max_bytes=7b", "7"),
                ("max_bytes=0.3G", "322122547"), ("max_bytes=1s", None),
                ("max_bytes=18446744073709551615", str(2 ** 64 - 1)),
                ("max_bytes=18446744073709551616", None),
                ("max_bytes=17179869184G", None),
                ("enabled=off", "0"), ("enabled=YES", "1"),
                ("enabled=2", None), ("enabled=", None)):
            before = self.knobs()
            self.cachectl("set", setting, status=0 if value else USAGE)
            if value:
                self.assertEqual(self.knob(setting.split("=")[0], 1), value)
            else:
                self.assertEqual(self.knobs(), before, setting)

    def test_wrong(self):
        """what can't be set is wrong usage, and changes nothing"""
        before = self.knobs()
        for args in ((), ("timeout_ms",), ("puts=1",), ("nothing=1",),
                     ("=",), ("timeout_ms=2s", "max_bytes=x")):
            self.cachectl("set", *args, status=USAGE)
        self.assertEqual(self.knobs(), before)

    def test_one_device(self):
        """--device leaves the others alone"""
        self.cachectl("set", "--device", "card1", "enabled=off")
        self.assertEqual([self.knob("enabled", 0), self.knob("enabled", 1)],
                         ["1", "0"])

    def test_all_or_nothing(self):
        """one that is refused undoes the others, on all devices"""
        self.refuse("max_bytes", 1)
        said = self.cachectl("set", "enabled=off", "timeout_ms=2s",
                             "max_bytes=1M", status=FAILED)
        self.assertIn("virtio1/bo_cache/max_bytes", said)
        self.assertIn("nothing was changed", said)
        for number in range(2):
            self.assertEqual(self.knob("enabled", number), "1")
            self.assertEqual(self.knob("timeout_ms", number), "1000")
        self.assertEqual(self.knob("max_bytes", 0), str(64 << 20))

    def test_twice(self):
        """of one key given twice the last counts, and undoing knows both"""
        self.cachectl("set", "timeout_ms=2s", "timeout_ms=3s")
        self.assertEqual(self.knob("timeout_ms"), "3000")
        self.refuse("max_bytes", 0)
        self.cachectl("set", "timeout_ms=4s", "timeout_ms=5s", "max_bytes=1",
                      status=FAILED)
        self.assertEqual(self.knob("timeout_ms"), "3000")


class PersistTest(cli.Test):
    devices = 2

    def rules(self, path):
        return [line for line in self.tree.read(path).splitlines()
                if not line.startswith("#")]

    def test_all(self):
        """for all devices, in one file that grows"""
        self.cachectl("set", "--persist", "timeout_ms=2s")
        self.cachectl("set", "--persist", "max_bytes=32M", "enabled=on")
        self.cachectl("set", "--persist", "timeout_ms=3s", umask=0o077)
        rules = self.rules(ALL)
        self.assertEqual([rule.split(", ")[-1] for rule in rules], [
            'ATTR{bo_cache/enabled}="1"', 'ATTR{bo_cache/timeout_ms}="3000"',
            'ATTR{bo_cache/max_bytes}="33554432"'])
        self.assertNotIn("KERNELS", "".join(rules))
        self.assertEqual(self.knob("timeout_ms", 1), "3000")
        self.assertEqual(os.listdir(self.tree.path(RULES)),
                         [os.path.basename(ALL)])
        self.assertEqual(self.tree.path(ALL).stat().st_mode & 0o777, 0o644)

    def test_one(self):
        """for one device by what it is on, and after those for all"""
        self.cachectl("set", "--persist", "timeout_ms=2s")
        self.cachectl("set", "--persist", "-d", "virtio1", "timeout_ms=5s")
        (rule,) = self.rules(ONE)
        self.assertIn('KERNELS=="0000:00:03.0", ', rule)
        self.assertEqual(sorted([ALL, ONE]), [ALL, ONE])
        self.cachectl("reset", "--persist", "-d", "virtio1")
        self.assertEqual(os.listdir(self.tree.path(RULES)),
                         [os.path.basename(ALL)])
        self.assertEqual(self.knob("timeout_ms", 1), "1000")
        self.assertEqual(self.knob("timeout_ms", 0), "2000")

    def test_reset(self):
        """reset forgets all of ours, and nothing else"""
        self.tree.write(f"{RULES}/90-other.rules", "")
        self.cachectl("set", "--persist", "enabled=off")
        self.cachectl("set", "--persist", "-d", "card1", "enabled=off")
        self.cachectl("reset", "--persist")
        self.assertEqual(os.listdir(self.tree.path(RULES)), ["90-other.rules"])
        self.assertEqual(self.knob("enabled", 1), "1")

    def test_undone(self):
        """a rule that can't be written undoes the knobs"""
        os.rmdir(self.tree.path(RULES))
        said = self.cachectl("set", "--persist", "timeout_ms=2s",
                             status=FAILED)
        self.assertIn(RULES, said)
        self.assertIn("nothing was changed", said)
        self.assertEqual(self.knob("timeout_ms"), "1000")
        # nothing to forget
        self.cachectl("reset", "--persist")

    @unittest.skipIf(os.geteuid(), "only root can be somebody else")
    def test_denied(self):
        """a rule that may not be written is status 4, and undoes the knobs"""
        for number in range(2):
            self.tree.path(self.tree.cache(number, "timeout_ms")).chmod(0o666)
        self.cachectl("set", "--persist", "timeout_ms=2s", status=DENIED,
                      **self.as_nobody())
        self.assertEqual(self.knob("timeout_ms"), "1000")

    def test_strange_parent(self):
        """a name that udev would take for a pattern is not written"""
        device = "sys/devices/virtual*/virtio3"
        self.tree.path(device).parent.mkdir(parents=True)
        os.rename(self.tree.path("sys/devices/pci0000:00/0000:00:03.0/virtio1"),
                  self.tree.path(device))
        self.tree.remove(1)
        self.tree.path(f"{tree.DRIVER}/virtio3").symlink_to(
            f"../../../../../{device}")
        self.cachectl("set", "--persist", "-d", "virtio3", "timeout_ms=2s",
                      status=FAILED)
        self.assertEqual(os.listdir(self.tree.path(RULES)), [])

    @cli.needs("udevadm")
    def test_verify(self):
        """udev has nothing to say about the rules"""
        if subprocess.run(["udevadm", "verify", "--help"], check=False,
                          capture_output=True).returncode:
            self.skipTest("this udevadm cannot verify rules")
        self.cachectl("set", "--persist", "timeout_ms=2s", "enabled=on",
                      "max_bytes=1M")
        self.cachectl("set", "--persist", "-d", "virtio1", "timeout_ms=5s")
        ran = subprocess.run(["udevadm", "verify", "--no-style",
                              self.tree.path(ALL), self.tree.path(ONE)],
                             capture_output=True, text=True, check=False)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)


class ResetTest(cli.Test):

    def test_reset(self):
        """knobs get what the module's parameters say"""
        self.tree.write("sys/module/virtio_gpu/parameters/bo_cache_enabled",
                        "N\n")
        self.tree.write("sys/module/virtio_gpu/parameters/bo_cache_max_bytes",
                        "123\n")
        self.cachectl("set", "timeout_ms=9s")
        self.cachectl("reset")
        self.assertEqual([self.knob(name) for name in tree.KNOBS],
                         ["0", "1000", "123"])

    def test_limit(self):
        """a limit of 0 is a sixteenth of memory, at most 256 MiB"""
        self.cachectl("reset")
        self.assertEqual(self.knob("max_bytes"), str(2048000 * 1024 // 16))
        self.tree.write("proc/meminfo", "MemTotal:  16384000 kB\n")
        self.cachectl("reset")
        self.assertEqual(self.knob("max_bytes"), str(256 << 20))

    def test_unknown(self):
        """without parameters nothing is changed"""
        self.tree.path("sys/module/virtio_gpu/parameters/"
                       "bo_cache_max_bytes").unlink()
        self.cachectl("set", "timeout_ms=9s")
        self.cachectl("reset", status=FAILED)
        self.assertEqual(self.knob("timeout_ms"), "9000")


class PurgeTest(cli.Test):
    devices = 2

    def test_tiers(self):
        """the tier is what is written, and what is told of"""
        for tier in "resource", "pages", "purgeable":
            rows = self.json("purge", "--tier", tier)
            self.assertEqual(self.knob("purge", 1), tier)
            self.assertEqual([(row["device"], row["tier"]) for row in rows],
                             [("virtio0", tier), ("virtio1", tier)])
        self.assertEqual(len(self.json("purge", "--wait")), 6)
        self.assertEqual(self.knob("purge"), "all")

    def test_one_refused(self):
        """one device that refuses does not keep the others from it"""
        path = self.tree.path(self.tree.cache(0, "purge"))
        path.unlink()
        path.symlink_to("/dev/full")
        self.cachectl("purge", status=FAILED)
        self.assertEqual(self.knob("purge", 1), "all")
