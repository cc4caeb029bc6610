# SPDX-License-Identifier: GPL-2.0-or-later
"""record, report and advise, on traces that never were."""

import json
import os
import random
import re
import resource
import signal
import subprocess
import unittest
from html.parser import HTMLParser
from pathlib import Path

import cli
from cli import DENIED, FAILED, USAGE
import tracedat

# A sanitized one is for sanitized programs
PLUGIN = Path(cli.CACHECTL[-1]).parent.parent / "plain"


class Test(cli.Test):

    def setUp(self):
        super().setUp()
        self.path = str(self.tree.path("trace.dat"))

    def save(self, trace):
        Path(self.path).write_bytes(trace.file())
        return self.path

    def tables(self, command, trace, *args):
        """All tables of a command, by name."""
        return json.loads(self.cachectl(command, "--json", "--bytes", *args,
                                        self.save(trace)))

    def facts(self, trace, *args):
        return {row["what"]: row["value"] for row in
                self.tables("report", trace, *args)["summary"]}


def churn(rounds=100, period=100, held=50):
    """One process that frees a BO and wants one like it PERIOD - HELD later."""
    trace = tracedat.Trace()
    trace.names[100] = "kmscube"
    for i in range(rounds):
        trace.create(i * period, hit=1 if i else None)
        trace.free(i * period + held, res_id=5)
    return trace


class ReportTest(Test):

    def test_processes(self):
        """processes have names, and are told apart from their threads"""
        trace = tracedat.Trace()
        trace.names.update({100: "weston", 200: "glmark2"})
        trace.create(0, pid=100)
        trace.create(1, pid=101, tgid=100, hit=2)
        trace.create(2, pid=200)
        rows = self.tables("report", trace)["processes"]
        self.assertEqual([(row["pid"], row["program"], row["creates"],
                           row["pages"], row["misses"]) for row in rows],
                         [(100, "weston", 2, 1, 1), (200, "glmark2", 1, 0, 1)])

    def test_threads(self):
        """a process is called what its first thread is, if that is known"""
        trace = tracedat.Trace()
        trace.names.update({100: "weston", 101: "gl:worker", 201: "helper"})
        trace.create(0, pid=101, tgid=100)
        trace.create(1, pid=100)
        trace.create(2, pid=201, tgid=200)
        rows = self.tables("report", trace)["processes"]
        self.assertEqual([(row["pid"], row["program"]) for row in rows],
                         [(100, "weston"), (200, "helper")])

    def test_names(self):
        """a name that is no text, or is cut off in a character, is one in JSON"""
        trace = tracedat.Trace()
        names = {100: b"\xd0\xbf\xd1\x80\xd0".decode("utf-8",
                                                    "surrogateescape"),
                 200: b"\xffa\xed\xa0\x80\x1b".decode("utf-8",
                                                    "surrogateescape"),
                 300: "\u00fc\U0001f600"}
        trace.names.update(names)
        for pid in names:
            trace.create(pid, pid=pid)
        rows = self.tables("report", trace)["processes"]
        self.assertEqual([row["program"] for row in rows],
                         ["\u043f\u0440?", "?a????", names[300]])

    def test_reasons(self):
        """each reason of a miss is counted as such, also by size"""
        trace = tracedat.Trace()
        names = "empty size cgroup owner ident busy backoff".split()
        for reason in range(len(names)):
            for i in range(reason + 1):
                trace.create(reason * 10 + i, reason=reason)
        tables = self.tables("report", trace)
        for table in "processes", "buckets":
            (row,) = tables[table]
            self.assertEqual([row[name] for name in names],
                             [1, 2, 3, 4, 5, 6, 7])
            self.assertEqual(row["misses"], 28)

    def test_sizes(self):
        """sizes are what their classes begin with"""
        trace = tracedat.Trace()
        trace.create(0, size=4096, bucket=1)
        trace.create(1, size=4096000, bucket=63, hit=1)
        rows = self.tables("report", trace)["buckets"]
        self.assertEqual([(row["from"], row["resource"]) for row in rows],
                         [(4096, 0), (960 << 12, 1)])

    def test_ages(self):
        """ages are counted by octave, from the millisecond on"""
        trace = tracedat.Trace()
        for i, age in enumerate((0, 1, 2, 3, 4, 999, 1000, 1024)):
            trace.event(i, "hit", tier=2, age_us=age * 1000, bucket=1)
        rows = self.tables("report", trace)["ages"]
        self.assertEqual({row["age"]: row["pages"] for row in rows},
                         {0: 1, 1: 1, 2: 2, 4: 1, 512: 2, 1024: 1})

    def test_latency(self):
        """creates are told apart by where the BO came from"""
        trace = tracedat.Trace()
        for i, took_us in enumerate([1000] * 50 + [2000] * 49 + [10000]):
            trace.create(i * 20, took_us=took_us)
        trace.create(2500, hit=1, took_us=8)
        rows = {row["from"]: row
                for row in self.tables("report", trace)["latency"]}
        self.assertEqual(rows["new"]["creates"], 100)
        self.assertEqual(rows["new"]["mean"], 1580)
        self.assertEqual(rows["new"]["max"], 10000)
        self.assertAlmostEqual(rows["new"]["median"], 2000, delta=250)
        self.assertAlmostEqual(rows["new"]["p90"], 2000, delta=250)
        self.assertAlmostEqual(rows["new"]["p99"], 10000, delta=1250)
        self.assertEqual(rows["resource"]["median"], 8)
        self.assertEqual(rows["pages"]["creates"], 0)

    def test_held(self):
        """what is held rises with puts and falls with all that ends it"""
        trace = tracedat.Trace()
        ends = "hit", "expire", "purge", "demote"
        for i, _ in enumerate(ends):
            trace.event(10 * i, "put", tier=1, size=4096, bucket=1)
        for i, name in enumerate(ends):
            trace.event(100 + 10 * i, name, tier=1, size=4096, bucket=1)
        trace.event(140, "close")
        rows = {row["time"]: row["resource"]
                for row in self.tables("report", trace)["held"]}
        self.assertEqual([rows[time] for time in (0, 15, 35, 105, 115, 125, 139)],
                         [4096, 8192, 16384, 12288, 8192, 4096, 0])

    def test_long(self):
        """a long trace has as many intervals, longer ones"""
        rows = self.tables("report", churn(5000))["held"]
        self.assertLessEqual(len(rows), 256)
        self.assertGreater(rows[-1]["time"], 400000)
        self.assertEqual({row["resource"] for row in rows}, {65536})

    def test_text(self):
        """without JSON each table has a title, and the many last are one"""
        trace = tracedat.Trace()
        for i in range(30):
            trace.create(i, pid=100 + i)
        text = self.cachectl("report", self.save(trace))
        for title in "Summary", "By process", "By size", "Hits by how long":
            self.assertRegex(text, rf"(?m)^{title}")
        self.assertIn("(10 more)", text)
        self.assertIn("\n119 ", text)
        self.assertNotIn("\n120 ", text)
        self.assertNotIn("By process", self.cachectl(
            "report", "--noheadings", self.path))

    def test_device(self):
        """of several devices one is looked at, the first or the given"""
        trace = tracedat.Trace()
        trace.create(0, dev=3)
        trace.create(1, dev=4)
        trace.create(2, dev=4)
        self.assertEqual(self.facts(trace)["device"], 3)
        facts = self.facts(trace, "--device", "virtio4")
        self.assertEqual((facts["device"], facts["creates"]), (4, 2))
        for name in ("card0", "virtio", "virtio-1", "virtio 3", "virtio3x",
                     "virtio4294967299"):
            self.cachectl("report", "-d", name, self.path, status=USAGE)
        said = self.cachectl("report", "-d", "virtio7", self.path,
                             status=FAILED)
        self.assertIn("no events of virtio7", said)

    def test_gaps(self):
        """lost events are told of, and make for no advice"""
        trace = churn(3)
        self.assertEqual(self.facts(trace)["gaps"], 0)
        (row,) = self.tables("advise", trace)["advice"]
        self.assertIsNone(row["note"])
        trace.lose()
        trace.create(400, hit=1)
        self.assertEqual(self.facts(trace)["gaps"], 1)
        (row,) = self.tables("advise", trace)["advice"]
        self.assertIn("events were lost", row["note"])

    def test_empty(self):
        """a table that is empty is in JSON as such"""
        trace = tracedat.Trace()
        trace.event(0, "close", owner=1)
        tables = self.tables("report", trace)
        self.assertEqual(list(tables), ["summary", "processes", "buckets",
                                        "ages", "latency", "held"])
        for name in "processes", "buckets", "ages":
            self.assertEqual(tables[name], [], name)

    def test_off(self):
        """creates while the cache was off are counted as such"""
        trace = tracedat.Trace()
        trace.create(0, timeout_ms=0)
        trace.create(1)
        facts = self.facts(trace)
        self.assertEqual((facts["creates"], facts["off"]), (2, 1))


class Page(HTMLParser):
    """What there is in a page, and what of it would be fetched."""

    def __init__(self):
        super().__init__()
        self.count, self.fetched, self.open = {}, [], []

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.fetched.append(value)
        if tag not in ("meta", "link", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag, tag


class PageTest(Test):

    def page(self, trace):
        path = self.tree.path("page.html")
        self.assertEqual(self.cachectl("report", "--html", str(path),
                                       self.save(trace)), "")
        return path.read_text("utf-8")

    def test_page(self):
        """the page has plots and tables, and fetches nothing"""
        text = self.page(churn())
        page = Page()
        page.feed(text)
        self.assertEqual(page.count["svg"], 4)
        self.assertEqual(page.count["table"], 5)
        self.assertEqual(page.count.get("script"), None)
        self.assertEqual(page.fetched, ["data:,"])
        self.assertEqual(page.open, ["html"][:len(page.open)])
        self.assertNotIn("nan", text)
        self.assertNotRegex(text, r"url\(|@import")

    def test_names(self):
        """what a process is called is text, whatever it is"""
        trace = churn()
        trace.names[100] = "<b>&\"x"
        self.path = str(self.tree.path("<i>.dat"))
        text = self.page(trace)
        self.assertIn("&lt;b&gt;&amp;&quot;x", text)
        self.assertEqual(text.count("&lt;i&gt;.dat"), 2)
        self.assertNotIn("<i>", text)

    def test_empty(self):
        """a trace of one event makes a page as well"""
        trace = tracedat.Trace()
        trace.event(0, "close", owner=1)
        self.assertNotIn("nan", self.page(trace))

    def test_unwritable(self):
        """a page that can't be written is a failure"""
        path = self.save(churn())
        self.cachectl("report", "--html", "/dev/full", path, status=FAILED)
        self.cachectl("report", "--html", "/nowhere/page", path, status=FAILED)

    @unittest.skipUnless("/plain/" in cli.CACHECTL[-1] and
                         len(cli.CACHECTL) == 1, "checkers write files, too")
    def test_half(self):
        """of a page that has no room nothing is left but what was there"""
        def little():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        path, page = self.save(churn()), self.tree.path("page.html")
        said = self.cachectl("report", "--html", str(page), path,
                             status=FAILED, preexec_fn=little)
        self.assertIn("page.html: cannot be written: File too large", said)
        self.assertFalse(page.exists())
        page.write_text("old", "ascii")
        self.cachectl("report", "--html", str(page), path, status=FAILED,
                      preexec_fn=little)
        self.assertEqual(page.read_text("ascii"), "")

    def test_again(self):
        """a shorter page leaves nothing of a longer one"""
        page = self.tree.path("page.html")
        page.write_text("x" * 1000000, "ascii")
        self.assertTrue(self.page(churn()).endswith("</html>\n"))

    def test_refused(self):
        """what can't be read costs no page that was there"""
        page = self.tree.path("page.html")
        page.write_text("old", "ascii")
        self.cachectl("report", "--html", str(page), self.path, status=FAILED)
        self.assertEqual(page.read_text("ascii"), "old")

    def browse(self, path):
        """What a browser makes of it, says about it, and requests."""
        net = self.tree.path("net.json")
        ran = subprocess.run(
            ["chromium-headless-shell", "--no-sandbox", "--disable-gpu",
             "--enable-logging=stderr", "--v=0", "--no-first-run",
             "--disable-background-networking", "--timeout=20000",
             f"--user-data-dir={self.tree.path('chromium')}",
             f"--log-net-log={net}", "--dump-dom", f"file://{path}"],
            check=True, capture_output=True, text=True, timeout=120)
        asked = set(re.findall(r'"url":"(\w+:[^"]*)"', net.read_text("utf-8")))
        return ran.stdout, ran.stderr, {
            url for url in asked if not url.startswith(("file:", "data:"))}

    @cli.needs("chromium-headless-shell")
    def test_browser(self):
        """a browser draws it, requests nothing and has no error"""
        self.page(churn())
        drawn, said, asked = self.browse(self.tree.path("page.html"))
        self.assertIn("</svg>", drawn)
        self.assertNotIn("CONSOLE", said)
        self.assertEqual(asked, set())

    @cli.needs("chromium-headless-shell")
    def test_browser_tells(self):
        """it would have told of a request, and of an error"""
        path = self.tree.path("other.html")
        path.write_text('<img src="http://127.0.0.1:9/x.png">'
                        "<script>nothing.here()</script>", "ascii")
        _, said, asked = self.browse(path)
        self.assertIn("CONSOLE", said)
        self.assertEqual(asked, {"http://127.0.0.1:9/x.png"})


class AdviseTest(Test):

    def sweep(self, trace):
        rows = self.tables("advise", trace)["sweep"]
        limit = sorted({row["limit"] for row in rows})[1]
        return {row["timeout"]: row for row in rows if row["limit"] == limit}

    def check(self, trace):
        return {row["tier"]: (row["recorded"], row["model"])
                for row in self.tables("advise", trace)["check"]}

    def test_timeout(self):
        """only a timeout above the pause between free and create serves it"""
        rows = self.sweep(churn(period=1000, held=400))
        self.assertEqual([rows[ms]["resource"] for ms in (250, 500, 1000)],
                         [0, 0, 99])
        self.assertEqual(self.check(churn(period=1000, held=400))["resource"],
                         (99, 99))

    def test_knee(self):
        """the knee is where more time brings nothing, and is advised"""
        tables = self.tables("advise", churn(period=1000, held=400))
        (row,) = [row for row in tables["sweep"] if row["note"] == "advised"]
        self.assertEqual(row["timeout"], 1000)
        self.assertIn("set --device virtio0 timeout_ms=1s max_bytes=",
                      tables["advice"][0]["command"])

    def test_bytes(self):
        """byte-seconds are what was held, times how long"""
        row = self.sweep(churn(rounds=10, period=1000, held=400))[1000]
        self.assertAlmostEqual(row["byte-seconds"], 9 * 0.6 * 65536,
                               delta=1000)
        self.assertEqual(row["peak"], 65536)

    def test_limit(self):
        """what does not fit under the limit is not there"""
        trace = tracedat.Trace(max_bytes=4 << 20)
        for i in range(100):
            for j in range(100):
                trace.create(i * 200 + j, ident=j)
            for j in range(100):
                trace.free(i * 200 + 100 + j, res_id=j, ident=j)
        rows = self.tables("advise", trace)["sweep"]
        most = {row["limit"]: row["peak"] for row in rows}
        self.assertLessEqual(most[1 << 20], 1 << 20)
        self.assertEqual(most[16 << 20], 100 * 65536)
        hits = {row["limit"]: row["resource"] for row in rows
                if row["timeout"] == 1000}
        self.assertEqual(hits[16 << 20], 9900)
        self.assertEqual(hits[1 << 20], 16 * 99)
        (advised,) = {row["limit"] for row in rows if row["note"] == "advised"}
        self.assertEqual(advised, 16 << 20)

    def served(self, freed, *wanted):
        """After a free, whether each of the creates would have been a hit."""
        for want in wanted:
            trace = tracedat.Trace()
            trace.free(0, res_id=1, **freed)
            trace.create(1, **want)
            yield self.check(trace)["resource"][1] == 1

    def test_owner(self):
        """a BO of the resource tier serves its owner, as what it was"""
        self.assertEqual(list(self.served(
            {}, {}, {"owner": 2}, {"owner": 0}, {"ident": 8}, {"kind": 1},
            {"cgroup": 9}, {"width": 63}, {"size": 61440})),
            [True, *[False] * 7])

    def test_buffer(self):
        """a buffer may be larger by an eighth, and no more"""
        buffer = {"kind": 3, "size": 64 << 12, "bucket": 32}
        self.assertEqual(list(self.served(
            {"width": 9 << 10, **buffer},
            {"width": (8 << 10) - 1, **buffer}, {"width": 8 << 10, **buffer},
            {"width": 9 << 10, **buffer}, {"width": (9 << 10) + 1, **buffer},
            {"width": 9 << 10, **buffer, "size": 65 << 12})),
            [False, True, True, False, False])

    def closed(self, *wants):
        """A file is closed; what creates at so many milliseconds would get."""
        trace = tracedat.Trace()
        trace.free(0, res_id=1)
        trace.event(1, "demote", res_id=1, tier=1, owner=1, size=65536)
        trace.event(2, "close", owner=1)
        put = 5, "put", {"res_id": 1, "tier": 2, "size": 65536}
        for ms, name, values in sorted([put, *wants], key=lambda one: one[0]):
            if name == "put":
                trace.event(ms, name, **values)
            else:
                trace.create(ms, **values)
        checked = self.check(trace)
        return checked["resource"][1], checked["pages"][1]

    def test_demote(self):
        """when a file is closed, its BOs are anyone's once the host lets go"""
        for ms, want, hit in ((3, {}, False), (3, {"owner": 2}, False),
                              (6, {"owner": 2}, True),
                              (6, {"owner": 0, "ident": 9}, True),
                              (6, {"owner": 2, "cgroup": 9}, False),
                              (6, {"owner": 2, "size": 61440}, False)):
            with self.subTest(ms=ms, **want):
                self.assertEqual(self.closed((ms, "create", want)), (0, hit))

    def test_late_demote(self):
        """what had expired when the file was closed takes as long as others"""
        trace = tracedat.Trace()
        for i in range(50):
            trace.free(i * 100, res_id=i, tier=2)
            trace.event(i * 100 + 20, "put", res_id=i, tier=2, size=65536)
        bo = {"size": 131072, "bucket": 24}
        trace.free(6000, res_id=99, **bo)
        trace.event(8000, "close", owner=1)
        trace.create(8010, owner=2, **bo)
        rows = self.sweep(trace)
        self.assertEqual((rows[1000]["pages"], rows[4000]["pages"]), (0, 0))
        trace.create(8030, owner=2, **bo)
        rows = self.sweep(trace)
        self.assertEqual((rows[1000]["pages"], rows[4000]["pages"]), (0, 1))

    def test_purge(self):
        """what memory pressure took is taken in every model"""
        trace = tracedat.Trace()
        trace.free(0, res_id=1)
        trace.free(1, res_id=2)
        trace.event(2, "purge", res_id=2, tier=1, reason=7, age_us=1000)
        trace.create(3, reason=6)
        self.assertEqual({row["resource"]
                          for row in self.sweep(trace).values()}, {0})

    def test_purge_late(self):
        """it is taken, though its free was traced after it was timed"""
        trace = tracedat.Trace()
        trace.free(0.05, res_id=1)
        trace.event(2, "purge", res_id=1, tier=1, reason=3, age_us=2000)
        trace.create(3)
        self.assertEqual(self.check(trace)["resource"], (0, 0))

    def test_refused(self):
        """what the host refused goes alone"""
        trace = tracedat.Trace()
        trace.free(0, res_id=1)
        trace.free(1, res_id=2)
        trace.event(2, "purge", res_id=2, tier=1, reason=6, age_us=1000)
        trace.create(3)
        trace.create(4)
        self.assertEqual(self.check(trace)["resource"], (0, 1))

    def test_lowered(self):
        """what a lower limit has no room for is dropped when it is lowered"""
        trace = tracedat.Trace()
        trace.free(0, res_id=1)
        trace.create(1, max_bytes=65535)
        trace.create(2)
        self.assertEqual(self.check(trace)["resource"], (0, 0))

    def test_rejected(self):
        """what was not kept is not kept in the model"""
        trace = tracedat.Trace()
        trace.free(0, res_id=1, tier=0, reason=1)
        trace.create(1)
        self.assertEqual(self.check(trace), {"resource": (0, 0),
                                             "pages": (0, 0)})

    def test_wrong(self):
        """a model that is off says so"""
        trace = churn()
        for i in range(10):
            trace.event(20000 + i, "hit", tier=1, bucket=1)
        (row,) = self.tables("advise", trace)["advice"]
        self.assertAlmostEqual(row["model-error%"], 100 * 10 / 109, delta=0.1)
        self.assertIn("model is off", row["note"])

    def test_off(self):
        """a trace with the cache off is no ground for advice"""
        trace = tracedat.Trace()
        trace.create(0, timeout_ms=0)
        said = self.cachectl("advise", self.save(trace), status=FAILED)
        self.assertIn("set enabled=on", said)


class FileTest(Test):

    def refused(self, data, what, **more):
        Path(self.path).write_bytes(data)
        for command in "report", "advise":
            said = self.cachectl(command, self.path, status=FAILED, **more)
            self.assertIn(what, said)

    def test_none(self):
        """a file that isn't there, or is a folder, or a pipe"""
        self.cachectl("report", self.path, status=FAILED)
        os.mkfifo(self.path)
        for path in "/proc", self.path:
            said = self.cachectl("report", path, status=FAILED)
            self.assertIn("is no file", said)

    def test_empty(self):
        """an empty file"""
        self.refused(b"", "is empty")

    def test_foreign(self):
        """what is no trace"""
        self.refused(b"\x7fELF" + bytes(5000), "is no trace.dat")
        self.refused(b"# tracer: nop\n" * 400, "is no trace.dat")

    def test_others(self):
        """a trace of other events"""
        data = churn().file()
        self.refused(data.replace(b"bo_cache_", b"ab_cache_"),
                     "without events of the BO cache")

    def test_nothing(self):
        """a trace in which nothing happened"""
        self.refused(tracedat.Trace().file(), "nothing happened")

    def test_truncated(self):
        """a part of a trace, however long"""
        data = churn(1000).file()
        # The library falls over some, in a process of its own; that it does is
        # not for the sanitizer to judge
        environment = {**os.environ, "ASAN_OPTIONS": os.environ.get(
            "ASAN_OPTIONS", "") + ":handle_segv=0"}
        for size in (1, 10, 12, 100, 3000, 9000, len(data) // 2,
                     len(data) - 4096, len(data) - 1):
            with self.subTest(size=size):
                self.refused(data[:size], "virtgpu-cachectl: ",
                             env=environment)

    def test_short(self):
        """a record that is shorter than its format says"""
        trace = churn(3)
        good = trace.n
        trace.add(10**9, bytes((tracedat.IDS["create"] & 255,
                                tracedat.IDS["create"] >> 8)) + bytes(14))
        trace.create(2000)
        self.refused(trace.file(), f"is damaged after {good} events")

    def test_order(self):
        """events that go back in time"""
        trace = churn(3)
        good = trace.n
        trace.end_page()
        trace.create(0)
        trace.create(1000)
        self.refused(trace.file(), f"is damaged after {good} events")

    @unittest.skipIf(os.geteuid(), "only root can be somebody else")
    def test_denied(self):
        """a file that is for others"""
        path = self.save(churn())
        os.chmod(path, 0o600)
        self.cachectl("report", path, status=DENIED, **self.as_nobody())

    def test_full(self):
        """output that can't be written is a failure"""
        path = self.save(churn())
        with open("/dev/full", "w", encoding="ascii") as full:
            self.cachectl("report", path, stdout=full, status=FAILED)

    def test_pipe(self):
        """a reader that has seen enough is no damage"""
        path = self.save(churn())
        with subprocess.Popen(self.command("report", path), text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            process.stdout.close()
            self.assertNotIn("virtgpu-cachectl: ", process.stderr.read())

    @cli.needs("trace-cmd")
    def test_plugin(self):
        """trace-cmd prints sizes, formats, binds and reasons in words"""
        trace = tracedat.Trace()
        trace.create(0, size=6 << 20, format=1, bind=1 << 1 | 1 << 3 | 1 << 30,
                     reason=5)
        ran = subprocess.run(
            ["trace-cmd", "report", self.save(trace)], check=True,
            capture_output=True, text=True,
            env={**os.environ, "TRACEEVENT_PLUGIN_DIR": str(PLUGIN)})
        for words in ("size=6M", "format=b8g8r8a8", "kind=3d", "reason=busy",
                      "bind=render_target|sampler_view|0x40000000"):
            self.assertIn(words, ran.stdout)


def crowd():
    """A second of forty clients: the trace, how long, how many events."""
    trace, chance = tracedat.Trace(), random.Random(1)
    ms, res_id, live = 0, 0, []
    for client in range(40):
        pid, owner = 100 + client, 1 + client
        trace.names[pid] = f"client{client}"
        for _ in range(60):
            bucket = chance.randrange(8, 80)
            bo = {"owner": owner, "ident": chance.randrange(12),
                  "kind": chance.choice((2, 3)), "bucket": bucket,
                  "size": (bucket + chance.randrange(9)) << 12}
            trace.create(ms, hit=chance.choice((None, None, 1, 2)), pid=pid,
                         **bo)
            res_id += 1
            live.append((res_id, bo))
            ms += 0.3
            if len(live) < 30:
                continue
            freed, bo = live.pop(chance.randrange(30))
            tier = chance.choice((1, 1, 2))
            trace.free(ms, freed, tier=tier, pid=pid, **bo)
            ms += 0.1
            if tier == 2:
                trace.event(ms, "put", pid=1, tier=2, res_id=freed, **bo)
            ms += 0.1
        trace.event(ms, "close", pid=pid, owner=owner)
        ms += 1
    return trace, int(ms) + 1, trace.n


@unittest.skipUnless("/plain/" in cli.CACHECTL[-1] and len(cli.CACHECTL) == 1,
                     "takes too long under a checker")
class LargeTest(Test):
    """Ten million events, in a minute and 200 MiB."""

    def read(self, command):
        trace, ms, n = crowd()
        trace.write(self.path, 10_000_000 // n + 1, ms)
        with open(self.tree.path("out"), "w", encoding="ascii") as out:
            # pylint: disable=consider-using-with
            process = subprocess.Popen(self.command(command, self.path),
                                       stdout=out)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = status
        self.assertEqual(status, 0)
        self.assertLess(usage.ru_utime + usage.ru_stime, 60)
        self.assertLess(usage.ru_maxrss, 200 << 10)
        return self.tree.path("out").read_text("ascii")

    def test_report(self):
        """report reads ten million events"""
        said = self.read("report")
        self.assertGreater(int(re.search(r"events +(\d+)", said)[1]), 10**7)

    def test_advise(self):
        """advise reads ten million events"""
        self.assertIn("advised", self.read("advise"))


class RecordTest(Test):

    def test_usage(self):
        """it takes a command or a time, and this machine"""
        command = self.command("record")[:-3]
        for args in ((), ("-a", "1s", "true"), ("-a", "0", ), ("-a", "x")):
            ran = subprocess.run([*command, "record", *args], check=False,
                                 capture_output=True, text=True)
            self.assertEqual(ran.returncode, USAGE, ran.stderr)
        self.cachectl("record", "true", status=USAGE)

    def test_foreign_options(self):
        """what stands behind the command is the command's"""
        said = self.cachectl("record", "true", "--nonsense", "-Z",
                             status=USAGE)
        self.assertIn("--sysroot", said)
        self.cachectl("record", "--nonsense", "true", status=USAGE)
