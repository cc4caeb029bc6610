# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs whose verdicts on our driver must be those on the stock driver.

Each says what to run in the guest, with a folder shared at /mnt/share, and
reads from that folder what came out.
"""

import json
import re
import shutil
import textwrap

PASS, FAIL, SKIP = "passed", "FAILED", "skipped"


class Compared:
    """What they share: a script is put into the shared folder and run."""
    COMMAND = ["sh", "/mnt/share/job"]
    OPTIONS = ()                # more for scripts/guest
    stock_too = True            # else what it says of itself is enough
    stock_may_die = False       # QEMU does, with either driver
    minutes = 10

    @classmethod
    def prepare(cls, share):
        shutil.rmtree(share, ignore_errors=True)
        share.mkdir(parents=True)
        (share / "job").write_text(textwrap.dedent(cls.JOB),
                                   encoding="utf-8")

    @classmethod
    def compare(cls, stock, ours):
        """Yield (verdict, test, why): what passes on stock passes on ours."""
        for test, before in stock.items():
            now = ours.get(test, "did not run")
            if cls.good(before):
                yield (PASS if cls.good(now) else FAIL, test,
                       [f"stock: {before}, ours: {now}"])
            else:
                yield SKIP, f"{test} (stock: {before})", ()
        if not any(map(cls.good, stock.values())):
            yield FAIL, "ran nothing on the stock driver", ()


class Igt(Compared):
    """IGT through its own runner: upstream's tests and ours (tests/igt).

    Ours know what a driver without the cache has to do: on both drivers each
    of them passes, or skips and says why.
    """
    name = "igt"
    OURS = ["virtgpu_bo_cache", "virtgpu_madvise"]
    UPSTREAM = """
        core_auth core_getclient core_getstats core_getversion
        core_setmaster core_setmaster_vs_auth core_sysfs core_debugfs
        drm_virtgpu dumb_buffer dmabuf_sync_file vgem_basic syncobj_basic
        kms_addfb_basic kms_prop_blob kms_getfb""".split()
    COMMAND = ["tests/igt/guest", *UPSTREAM, *OURS]
    # QEMU's root, which is forky's, for those who have no IGT
    OPTIONS = ("--qemu", "-fsdev local,id=forky,path=/,security_model=none,"
               "readonly=on,multidevs=remap "
               "-device virtio-9p-pci,fsdev=forky,mount_tag=forky")
    JOB = ""

    @staticmethod
    def read(share):
        try:
            text = (share / "results.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        return {name: Igt.verdict(test)
                for name, test in json.loads(text)["tests"].items()}

    @staticmethod
    def verdict(test):
        """Its result, and why if it says so."""
        result = test["result"]
        if result == "skip" and (said := re.search(
                r"Test requirement: .*\n(?!Last errno|Test requirement)(.*)",
                test["out"])):
            return f"skip: {said[1]}"
        if result == "fail":
            said = re.findall(r"CRITICAL: (?!Last errno)(.*)", test["err"])
            return f"fail: {' '.join(dict.fromkeys(said))}"
        return result

    @staticmethod
    def good(verdict):
        # "dmesg-warn" is a pass that logged, as a refused attach does
        return verdict in ("pass", "dmesg-warn")

    @classmethod
    def compare(cls, stock, ours):
        def is_ours(test):
            return test.split("@")[1] in cls.OURS

        yield from super().compare(
            *({test: verdict for test, verdict in verdicts.items()
               if not is_ours(test)} for verdicts in (stock, ours)))
        yield from cls.judge_own("stock", stock)
        yield from cls.judge_own("our", ours)

    @classmethod
    def judge_own(cls, driver, verdicts):
        for program in cls.OURS:
            own = {test: verdict for test, verdict in verdicts.items()
                   if test.split("@")[1] == program}
            for test, verdict in own.items():
                why = f" ({verdict})" * verdict.startswith("skip")
                yield (cls.judge(verdict, driver),
                       f"{test} on {driver} driver{why}", [verdict])
            if not own:
                yield FAIL, f"{program} on {driver} driver did not run", ()

    @classmethod
    def judge(cls, verdict, driver):
        """What the verdict of a test of ours is worth."""
        if cls.good(verdict):
            return PASS
        excuses = ["skip: the device has no "]
        if driver == "stock":
            excuses.append("skip: the driver has no BO cache")
        return SKIP if verdict.startswith(tuple(excuses)) else FAIL


class OurIgt(Igt):
    """Our tests on our driver alone."""
    COMMAND = ["tests/igt/guest", *Igt.OURS]
    stock_too = False

    @classmethod
    def compare(cls, stock, ours):
        yield from cls.judge_own("our", ours)


class Hotplug(Igt):
    """The device goes away under clients; QEMU itself may not survive."""
    name = "igt-hotplug"
    stock_may_die = True
    OURS = []
    OPTIONS = ()
    COMMAND = Compared.COMMAND
    JOB = """
        export IGT_FORCE_DRIVER=virtio_gpu
        mkdir /tmp/igt
        cd /tmp/igt
        printf 'TESTLIST\\ncore_hotunplug\\nEND TESTLIST\\n' > test-list.txt
        ln -s /usr/libexec/igt-gpu-tools/core_hotunplug
        for test in $(./core_hotunplug --list-subtests); do
            igt_runner -o -t "@$test\\$" . /root/results
            cp /root/results/results.json "/mnt/share/$test.json"
        done
        """

    @classmethod
    def read(cls, share):
        verdicts = {}
        for path in sorted(share.glob("*.json")):
            text = path.read_text(encoding="utf-8")
            for name, test in json.loads(text)["tests"].items():
                verdicts[name] = test["result"]
        return verdicts


class Glmark(Compared):
    """glmark2 looks at the picture each of its default scenes draws.

    What it looks for holds for 800x600, but it draws full-screen at the
    highest mode there is (and fails at just 800x600).  So the guest gets a
    monitor whose only mode is near that: most scenes pass there, where at
    QEMU's 5120x2160 they do not with any driver.
    """
    name = "glmark2"
    OPTIONS = ("--append", "firmware_class.path=/mnt/share "
               "drm.edid_firmware=edid/monitor.bin")
    JOB = """
        glmark2-es2-drm --validate > /mnt/share/glmark2.log 2>&1
        """
    SCENE = re.compile(r"(\[\w+\].*): Validation: (\w+)")

    @classmethod
    def prepare(cls, share):
        super().prepare(share)
        (share / "edid").mkdir()
        (share / "edid/monitor.bin").write_bytes(edid(808, 600))

    @classmethod
    def read(cls, share):
        text = (share / "glmark2.log").read_text(encoding="utf-8")
        verdicts = dict(cls.SCENE.findall(text))
        log = (share / "kernel.log").read_text(
            encoding="utf-8", errors="replace")
        verdicts["kernel log"] = errors(log)
        return verdicts

    @classmethod
    def compare(cls, stock, ours):
        new = sorted(ours.pop("kernel log") - stock.pop("kernel log"))
        yield FAIL if new else PASS, "no new error in the kernel's log", new
        for test, before in stock.items():
            now = ours.get(test, "did not run")
            yield (PASS if now == before else FAIL, f"{test} as on stock",
                   [f"stock: {before}", f"ours: {now}"])
        if "Success" not in stock.values():
            yield FAIL, "no scene passed on the stock driver", ()


def edid(width, height):
    """A monitor's description with this mode only, at some 60 Hz."""
    mode = bytearray(18)
    mode[0:2] = (4000).to_bytes(2, "little")    # 40 MHz
    blank_x, blank_y = 256, 28
    mode[2:5] = width & 255, blank_x & 255, width >> 8 << 4 | blank_x >> 8
    mode[5:8] = height & 255, blank_y & 255, height >> 8 << 4 | blank_y >> 8
    mode[8:11] = 40, 128, 1 << 4 | 4            # where the sync pulses are
    mode[17] = 0x18                             # separate sync
    block = bytearray(128)
    block[0:8] = b"\0" + b"\xff" * 6 + b"\0"
    block[8:10] = b"\x59\x34"                   # any maker
    block[18:21] = 1, 3, 0x80                   # EDID 1.3, digital
    block[38:54] = b"\1" * 16                   # no standard timings
    block[54:72] = mode
    for start in 72, 90, 108:
        block[start + 3] = 0x10                 # nothing here
    block[127] = -sum(block) & 255
    return bytes(block)


def errors(log):
    """The kernel's lines about errors, once a process runs.

    What it says before that, of the pace of its clocks say, is about the
    emulated machine, and differs by chance.
    """
    log = log.split("Run /init as init process", 1)[-1]
    lines = {re.sub(r"^\[[^]]*\] ", "", line) for line in log.splitlines()}
    return {re.sub(r"0x[0-9a-f]+|\d+", "N", line) for line in lines
            if re.search(r"error|fail|WARN|\bBUG\b", line, re.I) and
            # that a module is not the distribution's is no error of it
            "module verification failed" not in line}
