# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that change nothing: the list, show, get, stat, metrics, doctor."""

import os
import subprocess
import threading
import time
import unittest

import cli
from cli import DENIED, DONE, FAILED, NO_DEVICE, USAGE
import tree

try:
    from prometheus_client.openmetrics.parser import \
        text_string_to_metric_families
except ImportError:
    text_string_to_metric_families = None


class ListTest(cli.Test):
    devices = 2

    def test_line(self):
        """one line a device, with units"""
        self.tree.count(0, held_resource_bytes=3 << 19, held_pages_bytes=1000,
                        hits_resource=2, hits_pages=1, misses=1, expired=7,
                        purged=9)
        lines = self.cachectl().splitlines()
        self.assertEqual(lines[0].split(), [
            "DEVICE", "STATE", "TIMEOUT", "RESOURCE", "PAGES", "PURGEABLE",
            "LIMIT", "HIT%", "EXPIRED", "PURGED"])
        self.assertEqual(lines[1].split(), [
            "virtio0", "on", "1s", "1.5M", "1000B", "0B", "64M", "75%", "7",
            "9"])
        self.assertEqual(len(lines), 3)

    def test_json(self):
        """JSON has text with units, or numbers with --bytes"""
        first, second = self.json()
        self.assertEqual(first["device"], "virtio0")
        self.assertEqual(first["limit"], "64M")
        self.assertIsNone(second["hit%"])
        first, _ = self.json("--bytes")
        self.assertEqual(first["limit"], 64 << 20)
        self.assertEqual(first["timeout"], 1000)

    def test_all_columns(self):
        """every knob and counter of the ABI has a column and a key"""
        keys = {row["key"] for row in self.json("--list-columns")}
        self.assertEqual(keys - {None},
                         {*tree.KNOBS, *tree.statistics()})
        names = {row["column"].lower() for row in self.json("--list-columns")}
        self.assertEqual(names, set(self.json("--output-all")[0]))

    def test_values(self):
        """every column shows its own file"""
        values = {name: number + 10
                  for number, name in enumerate(tree.statistics())}
        self.tree.count(0, **values)
        row = self.json("--output-all", "--bytes")[0]
        for column in self.json("--list-columns"):
            if column["key"] in values:
                self.assertEqual(row[column["column"].lower()],
                                 values[column["key"]], column)

    def test_output(self):
        """columns can be chosen and added, in capitals or not"""
        self.assertEqual(self.cachectl("-nr", "-o", "device,PUTS"),
                         "virtio0 0\nvirtio1 0\n")
        self.assertTrue(self.cachectl("--output", "+parent").splitlines()[0]
                        .endswith("PURGED PARENT"))
        for wrong in "", "puts,", "puts,nothing", "+", "+nothing":
            self.cachectl("--output", wrong, status=USAGE)

    def test_names(self):
        """a device goes by its name, its nodes', and what it is on"""
        for name in ("virtio1", "card1", "renderD129", "/dev/dri/card1",
                     "0000:00:03.0"):
            self.assertEqual(self.cachectl("-nr", "-o", "device", "-d", name),
                             "virtio1\n")
        self.cachectl("--device", "virtio2", status=NO_DEVICE)

    def test_order(self):
        """virtio2 comes before virtio10"""
        self.tree.add(10)
        self.tree.add(2)
        self.assertEqual(self.cachectl("-nr", "-o", "device").split(),
                         ["virtio0", "virtio1", "virtio2", "virtio10"])

    def test_states(self):
        """a device is on, off, or driven by the stock driver"""
        self.tree.write(self.tree.cache(0, "enabled"), "0\n")
        self.tree.write(self.tree.cache(1, "timeout_ms"), "0\n")
        self.tree.add(2, cached=False)
        rows = self.json()
        self.assertEqual([row["state"] for row in rows],
                         ["off", "off", "stock"])
        self.assertIsNone(rows[2]["limit"])

    def test_no_device(self):
        """no device is status 3, and an empty list in JSON"""
        self.tree.remove(0)
        self.tree.remove(1)
        self.cachectl(status=NO_DEVICE)
        ran = subprocess.run(self.command("--json"), capture_output=True,
                             text=True, check=False)
        self.assertEqual(ran.returncode, NO_DEVICE)
        self.assertRegex(ran.stdout, r'^\{\s*"devices":\s*\[\s*\]\s*\}\s*$')

    def test_other_things(self):
        """what else the driver's folder has is no device"""
        for name in "bind", "new_id", "module/x", "virtio", "virtioX":
            self.tree.write(f"{tree.DRIVER}/{name}", "")
        self.assertEqual(len(self.json()), 2)

    def test_full(self):
        """output that can't be written is a failure"""
        with open("/dev/full", "w", encoding="ascii") as full:
            self.cachectl(stdout=full, status=FAILED)


class BadTextTest(cli.Test):

    def test_bad_text(self):
        """a file that has no number is left out, not guessed"""
        for text in ("", "\n", "x\n", "-1\n", "1x\n", "1 2\n", " 1\n",
                     "18446744073709551616\n"):
            self.tree.write(self.tree.cache(0, "stats/puts"), text)
            self.assertIsNone(self.json("-o", "puts")[0]["puts"], text)
        self.tree.write(self.tree.cache(0, "stats/puts"),
                        "18446744073709551615\n")
        self.assertEqual(self.json("-o", "puts")[0]["puts"], 2 ** 64 - 1)

    def test_older_driver(self):
        """a driver that has fewer files is no problem"""
        self.tree.path(self.tree.cache(0, "stats/dropped")).unlink()
        self.assertIsNone(self.json("-o", "dropped")[0]["dropped"])
        self.assertNotIn("dropped_total", self.cachectl("metrics"))
        self.cachectl("get", "dropped", status=FAILED)


class ShowTest(cli.Test):
    devices = 2

    def rows(self, *args, **more):
        return {device["name"]: {row["name"]: row
                                 for row in device["children"]}
                for device in self.json("show", *args, **more)}

    def test_all(self):
        """all knobs and counters are there, for all devices or one"""
        rows = self.rows()
        self.assertEqual(list(rows), ["virtio0", "virtio1"])
        self.assertLessEqual({*tree.KNOBS, *tree.statistics()},
                             set(rows["virtio0"]))
        self.assertEqual(list(self.rows("card1")), ["virtio1"])
        self.assertEqual(list(self.rows("--device", "card1")), ["virtio1"])

    def test_buckets(self):
        """what is held by size comes from debugfs"""
        four, sixty_four = self.rows("-b")["virtio1"]["buckets"]["children"]
        self.assertEqual(four["name"], "4096")
        self.assertEqual({row["name"]: row["value"]
                          for row in four["children"]},
                         {"resource_bos": "3", "resource_bytes": "12288",
                          "purgeable_bos": "1", "purgeable_bytes": "4096"})
        self.assertEqual({row["name"]: row["value"]
                          for row in sixty_four["children"]},
                         {"pages_bos": "2", "pages_bytes": "131072"})

    def test_bad_buckets(self):
        """a line that is no bucket is none"""
        lines = tree.BUCKETS.splitlines()
        lines[2] = lines[2].rsplit(maxsplit=1)[0]
        self.tree.write("sys/kernel/debug/dri/0/bo_cache/buckets",
                        "\n".join(lines))
        (only,) = self.rows("-b")["virtio0"]["buckets"]["children"]
        self.assertEqual(only["name"], "65536")

    def test_no_debugfs(self):
        """without debugfs, and without root, all else is there"""
        debug = self.tree.path("sys/kernel/debug")
        debug.chmod(0)
        row = self.rows("virtio0", **self.as_nobody())["virtio0"]["buckets"]
        self.assertIn("Permission denied", row["meaning"])
        debug.chmod(0o755)
        debug.rename(debug.with_name("gone"))
        row = self.rows("virtio0")["virtio0"]["buckets"]
        self.assertIn("No such file", row["meaning"])

    def test_stock(self):
        """a stock driver has no cache to show"""
        self.tree.add(2, cached=False)
        self.assertNotIn("puts", self.rows("virtio2")["virtio2"])


class GetTest(cli.Test):

    def test_get(self):
        """knobs and counters, with units or plain"""
        self.assertEqual(
            self.cachectl("get", "enabled", "timeout_ms", "max_bytes", "puts"),
            "on\n1s\n64M\n0\n")
        self.assertEqual(
            self.cachectl("get", "-b", "enabled", "timeout_ms", "max_bytes"),
            "1\n1000\n67108864\n")

    def test_units(self):
        """what is printed with units can be set again"""
        for knob, value, text in (
                ("timeout_ms", 0, "0ms"), ("timeout_ms", 999, "999ms"),
                ("timeout_ms", 1500, "1.5s"), ("timeout_ms", 1050, "1.05s"),
                ("timeout_ms", 60000, "60s"), ("max_bytes", 1023, "1023B"),
                ("max_bytes", 1024, "1K"), ("max_bytes", 1536, "1.5K"),
                ("max_bytes", (1 << 20) - 1, "1M"),
                ("max_bytes", 2 ** 64 - 1, "16E"), ("max_bytes", 0, "0B")):
            self.tree.write(self.tree.cache(0, knob), f"{value}\n")
            self.assertEqual(self.cachectl("get", knob).strip(), text)
            if "E" not in text:
                self.cachectl("set", f"{knob}={text}")

    def test_wrong(self):
        """an unknown key is wrong usage, as is not to say which device"""
        self.cachectl("get", status=USAGE)
        self.cachectl("get", "nothing", status=USAGE)
        self.cachectl("get", "-d", "virtio7", "puts", status=NO_DEVICE)
        self.tree.add(1)
        self.cachectl("get", "puts", status=USAGE)
        self.cachectl("get", "-d", "virtio1", "puts")
        self.tree.add(2, cached=False)
        self.cachectl("get", "-d", "virtio2", "puts", status=NO_DEVICE)


class StatTest(cli.Test):
    devices = 2

    def test_totals(self):
        """without an interval: since the driver was bound"""
        self.tree.count(1, puts=17)
        lines = self.cachectl("stat").splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[2].split()[5], "17")

    def test_intervals(self):
        """COUNT lines a device, in units of a second"""
        self.assertEqual(len(self.cachectl("stat", "-n", "0.05", "3")
                             .splitlines()), 6)
        self.assertEqual(len(self.cachectl("stat", "-n", "-d", "card1", "50ms",
                                           "3").splitlines()), 3)

    def test_rate(self):
        """what rises by 200 in four seconds rises by 50 a second"""
        with subprocess.Popen(self.command("stat", "-n", "-d", "virtio0", "4",
                                           "1"),
                              stdout=subprocess.PIPE, text=True) as process:
            time.sleep(2.5)
            self.tree.count(0, puts=200)
            out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, DONE)
        self.assertAlmostEqual(int(out.split()[5]), 50, delta=10)

    def test_comings_and_goings(self):
        """a device that goes and comes back begins anew"""
        self.tree.count(0, puts=1000)
        with subprocess.Popen(self.command("stat", "-n", "0.2"),
                              stdout=subprocess.PIPE, text=True) as process:
            # A checker may take longer to start than any time set here
            lines = [process.stdout.readline() for _ in range(2)]
            self.tree.remove(0)
            time.sleep(1)
            self.tree.count(0, puts=1)
            self.tree.put_back(0)
            time.sleep(1)
            self.assertIsNone(process.poll())
            process.terminate()
            lines += process.stdout.read().splitlines()
        there = [line.split()[0] for line in lines]
        gone = [name for name, following in zip(there, there[1:])
                if name == following == "virtio1"]
        self.assertTrue(gone)
        self.assertEqual(there[:2], ["virtio0", "virtio1"])
        self.assertIn("virtio0", there[-2:])
        self.assertEqual({line.split()[5] for line in lines}, {"0"})

    def test_quick_return(self):
        """counters that fell are a device's that was away: it begins anew"""
        self.tree.count(0, puts=1000)
        with subprocess.Popen(self.command("stat", "-n", "-d", "virtio0", "4",
                                           "2"),
                              stdout=subprocess.PIPE, text=True) as process:
            time.sleep(2.5)
            self.tree.count(0, puts=1)
            (line,) = process.communicate(timeout=60)[0].splitlines()
        self.assertEqual(line.split()[5], "0")

    def test_wrong(self):
        """a bad interval or count is wrong usage"""
        for args in (("x",), ("0",), ("-1",), ("1", "0"), ("1", "x"), ("nan",),
                     ("1", "1", "1"), ("1q",), ("1e9",), ("0x1",), ("",)):
            self.cachectl("stat", "--", *args, status=USAGE)


class MetricsTest(cli.Test):
    devices = 2

    @unittest.skipUnless(text_string_to_metric_families,
                         "no python3-prometheus-client here")
    def families(self):
        """By a parser of OpenMetrics that is strict."""
        return {family.name.removeprefix("virtgpu_bo_cache_"): family
                for family in text_string_to_metric_families(
                    self.cachectl("metrics"))}

    def test_openmetrics(self):
        """it is OpenMetrics, and every counter is in it"""
        counters = {name: number + 1 for number, name in enumerate(
            name for name in tree.statistics()
            if name not in ("purged", "rejected", "backoff_ms"))}
        self.tree.count(1, **counters, backoff_ms=250)
        families = self.families()
        values = {sample.value for family in families.values()
                  for sample in family.samples
                  if sample.labels["device"] == "virtio1"}
        self.assertLessEqual(set(counters.values()), values)
        for name, family in families.items():
            self.assertTrue(family.documentation, name)
        self.assertEqual(families["backoff_seconds"].samples[1].value, 0.25)
        self.assertEqual(families["timeout_seconds"].unit, "seconds")
        self.assertEqual({sample.labels["tier"]
                          for sample in families["held_bytes"].samples},
                         {"resource", "pages", "purgeable"})
        self.assertEqual(families["puts"].type, "counter")

    def test_no_device(self):
        """without a device it is still OpenMetrics"""
        self.tree.remove(0)
        self.tree.remove(1)
        self.assertEqual(self.cachectl("metrics"), "# EOF\n")

    @cli.needs("promtool")
    def test_promtool(self):
        """the older text format takes it, too"""
        ran = subprocess.run(["promtool", "check", "metrics"], text=True,
                             input=self.cachectl("metrics"), check=False,
                             capture_output=True)
        # 3: it has advice.  In OpenMetrics, help is for a counter's family
        self.assertIn(ran.returncode, (0, 3), ran.stderr)
        for line in (ran.stdout + ran.stderr).splitlines():
            self.assertRegex(line, "_total no help text$")

    def test_stock(self):
        """a stock driver has no metrics but that it is there"""
        self.tree.add(2, cached=False)
        lines = [line for line in self.cachectl("metrics").splitlines()
                 if "virtio2" in line]
        self.assertEqual(len(lines), 1)


class DoctorTest(cli.Test):

    def verdicts(self, **more):
        return {row["check"]: (row["verdict"], row["advice"])
                for row in self.json("doctor", **more)}

    def add_balloon(self, features):
        self.tree.write("sys/bus/virtio/devices/virtio9/device", "0x0005\n")
        self.tree.write("sys/bus/virtio/devices/virtio9/features", features)
        self.tree.path("sys/bus/virtio/drivers/virtio_balloon").mkdir()

    def test_good(self):
        """a machine as it should be"""
        self.add_balloon("0" * 5 + "1" + "0" * 58)
        verdicts = self.verdicts()
        self.assertEqual(set(verdicts), {"device", "module", "cache", "virgl",
                                         "debugfs", "host"})
        self.assertEqual({verdict for verdict, _ in verdicts.values()}, {"ok"})

    def check(self, check, verdict, status=DONE):
        ran = subprocess.run(self.command("doctor", "-nr"), text=True,
                             capture_output=True, check=False)
        self.assertEqual(ran.returncode, status, ran.stderr)
        lines = [line.split(" ") for line in ran.stdout.splitlines()]
        found = {line[0]: line for line in lines}[check]
        self.assertEqual(found[1], verdict)
        self.assertEqual(any(found[3:]), verdict != "ok")

    def test_off(self):
        """a cache that is off is bad"""
        for knob in tree.KNOBS:
            self.tree.write(self.tree.cache(0, knob), "0\n")
            self.check("cache", "bad", FAILED)
            self.tree.write(self.tree.cache(0, knob), "1\n")
        self.check("cache", "ok")

    def test_absent(self):
        """no device, a device without a driver, the stock driver"""
        self.tree.path(f"{tree.DRIVER}/virtio0").unlink()
        self.check("device", "bad", FAILED)
        self.tree.path("sys/bus/virtio/devices/virtio0").unlink()
        self.check("device", "bad", FAILED)
        self.tree.add(1, cached=False)
        self.check("device", "ok", FAILED)
        self.check("module", "bad", FAILED)

    def test_could_do_more(self):
        """2D, no debugfs, no balloon: the cache works"""
        self.tree.write("sys/bus/virtio/devices/virtio0/features", "0" * 64)
        self.tree.path("sys/kernel/debug/dri/0/bo_cache/buckets").unlink()
        for check in "virgl", "debugfs", "host":
            self.check(check, "note")
        self.add_balloon("0" * 64)
        self.check("host", "note")


class UsageTest(cli.Test):

    def test_wrong(self):
        """wrong usage is status 2"""
        for args in (("nothing",), ("",), ("--nothing",), ("-x",),
                     ("show", "a", "b"), ("--device",), ("top", "x"),
                     ("get", "--persist", "puts"), ("metrics", "--json"),
                     ("doctor", "x"), ("--wait",), ("purge", "--tier", "x")):
            self.cachectl(*args, status=USAGE)

    def test_anywhere(self):
        """options may stand before and after the command"""
        self.assertEqual(self.cachectl("-b", "get", "timeout_ms"), "1000\n")
        self.assertEqual(self.cachectl("get", "timeout_ms", "-b"), "1000\n")

    def test_sysroot(self):
        """a root that isn't there is a failure"""
        self.cachectl("--sysroot", "/nonexistent", status=FAILED)

    def test_top_needs_terminal(self):
        """top says so when there is no terminal"""
        self.cachectl("top", status=FAILED)

    def test_denied(self):
        """what only root may do is status 4 for others"""
        everything = ("set", "timeout_ms=2s"), ("purge",), ("reset",)
        if os.geteuid():
            for name in (*tree.KNOBS, "purge"):
                self.tree.path(self.tree.cache(0, name)).chmod(0o444)
        for args in everything:
            self.cachectl(*args, status=DENIED, **self.as_nobody())
        self.assertEqual(self.knob("timeout_ms"), "1000")


class RaceTest(cli.Test):

    def test_race(self):
        """a device that comes and goes while it is looked at is no problem"""
        end = threading.Event()

        def flap():
            while not end.is_set():
                self.tree.remove(0)
                time.sleep(0.001)
                self.tree.put_back(0)
                time.sleep(0.001)

        thread = threading.Thread(target=flap)
        thread.start()
        try:
            limit = time.monotonic() + 3
            while time.monotonic() < limit:
                self.assertTrue(self.cachectl("metrics").endswith("# EOF\n"))
        finally:
            end.set()
            thread.join()
