# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine as virtgpu-cachectl sees it: a folder with sys, proc and etc.

Files are files here, so a knob takes anything and a purge frees nothing; what
the driver does is for the tests in guests.
"""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
DRIVER = "sys/bus/virtio/drivers/virtio_gpu"
BUS = DRIVER, "sys/bus/virtio/devices"
KNOBS = {"enabled": 1, "timeout_ms": 1000, "max_bytes": 64 << 20}

BUCKETS = """\
state on, timeout 1000 ms, limit 67108864 bytes, with the host for release \
0 BOs of 0 bytes
bucket   from bytes  resource BOs       bytes  pages BOs       bytes  \
purgeable BOs       bytes
     0         4096             3       12288          0           0  \
            1        4096
    16        65536             0           0          2      131072  \
            0           0
"""

FDINFO = """\
pos:	0
flags:	02100002
drm-driver:	virtio_gpu
drm-client-id:	{id}
drm-pdev:	0000:00:02.0
drm-total-memory:	{total} KiB
drm-shared-memory:	0
drm-resident-memory:	128 KiB
drm-purgeable-memory:	0
drm-total-cached:	64 KiB
drm-resident-cached:	64 KiB
drm-purgeable-cached:	64 KiB
"""


def statistics():
    """The names of the driver's counters, from the documentation of its ABI."""
    abi = PROJECT / "Documentation/ABI/testing/sysfs-driver-virtio-gpu-bo-cache"
    return re.findall(r"bo_cache/stats/(\w+)$", abi.read_text("ascii"), re.M)


class Tree:
    """The folder, and what there is in it."""

    def __init__(self, root, devices=1):
        self.root = Path(root)
        self.write("proc/meminfo", "MemTotal:        2048000 kB\n")
        for name, value in (("enabled", "Y"), ("timeout_ms", 1000),
                            ("max_bytes", 0)):
            self.write(f"sys/module/virtio_gpu/parameters/bo_cache_{name}",
                       f"{value}\n")
        self.write("sys/module/virtio_gpu/version", "1.0\n")
        self.path("etc/udev/rules.d").mkdir(parents=True)
        for number in range(devices):
            self.add(number)

    def path(self, name):
        return self.root / name

    def write(self, name, text):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text), "utf-8")

    def read(self, name):
        return self.path(name).read_text("utf-8")

    def add(self, number, cached=True):
        """The device virtioN on 0000:00:0M.0 with N + 2 for M."""
        device = self.device(number)
        self.write(f"{device}/device", "0x0010\n")
        self.write(f"{device}/features", "1010" + 60 * "0" + "\n")
        for node in f"card{number}", f"renderD{128 + number}":
            self.path(f"{device}/../drm/{node}").mkdir(parents=True)
        self.put_back(number)
        if not cached:
            return
        for knob, value in KNOBS.items():
            self.write(f"{device}/bo_cache/{knob}", f"{value}\n")
        self.write(f"{device}/bo_cache/purge", "")
        for statistic in statistics():
            self.write(f"{device}/bo_cache/stats/{statistic}", "0\n")
        self.write(f"sys/kernel/debug/dri/{number}/bo_cache/buckets", BUCKETS)

    def remove(self, number):
        for folder in BUS:
            self.path(f"{folder}/virtio{number}").unlink()

    def put_back(self, number):
        """Where the bus and the driver list it."""
        for folder in BUS:
            self.path(folder).mkdir(parents=True, exist_ok=True)
            up = "../" * (folder.count("/") + 1)
            self.path(f"{folder}/virtio{number}").symlink_to(
                up + self.device(number))

    def device(self, number):
        return (f"sys/devices/pci0000:00/0000:00:{number + 2:02x}.0/"
                f"virtio{number}")

    def cache(self, number, name):
        return f"{self.device(number)}/bo_cache/{name}"

    def count(self, number, **statistics_now):
        for name, value in statistics_now.items():
            self.write(self.cache(number, f"stats/{name}"), f"{value}\n")

    def add_client(self, pid, node="renderD128", client=1, total=256,
                   name="weston"):
        process = f"proc/{pid}"
        self.write(f"{process}/comm", f"{name}\n")
        self.write(f"{process}/fdinfo/5",
                   FDINFO.format(id=client, total=total))
        self.path(f"{process}/fd").mkdir()
        self.path(f"{process}/fd/5").symlink_to(f"/dev/dri/{node}")
