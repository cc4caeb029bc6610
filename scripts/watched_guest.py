# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest of which the host sees more: its QEMU's memory, its resources."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import suites

# For QEMU's C library: what is freed goes back to the system, and is not kept for
# what comes next
TUNABLES = "glibc.malloc.mmap_threshold=131072"


class WatchedGuest(threading.Thread):
    """A guest that runs COMMAND, from its start to close().

    It has a balloon for free page reporting, and MIB of memory; QEMU is more for
    its QEMU, OPTIONS is more for scripts/guest.  What it says is in lines, as
    pairs of the time (monotonic, in seconds) and the text.  FOLDER, which is in
    the checkout, gets what QEMU says it does.
    """

    MIB = 1024

    def __init__(self, name, folder, command, reporting=True, qemu="",
                 options=()):
        super().__init__(daemon=True)
        self.name = name
        self.mark = f"{name}-{os.getpid()}"
        self.lines = []
        os.chown(folder, *suites.owner())
        self.trace = folder / f"{name}.trace"
        inside = Path(suites.PROJECT_IN_ROOT, self.trace.relative_to(
            suites.PROJECT))
        self.process = subprocess.Popen(
            [suites.PROJECT / "scripts/guest", "--timeout=1500", *options,
             f"--mem={self.MIB}", "--qemu",
             f"-name {self.mark} -D {inside} "
             "-trace virtio_gpu_cmd_res_create_* "
             "-trace virtio_gpu_cmd_res_unref "
             "-device virtio-balloon-pci,free-page-reporting="
             f"{'on' if reporting else 'off'} {qemu}", "--", *command],
            text=True, errors="replace", stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line.rstrip()))

    def pid(self):
        """QEMU's."""
        mark = f"-name\0{self.mark}\0".encode()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                text = path.read_bytes()
                if text.startswith(b"qemu") and mark in text:
                    return int(path.parent.name)
        raise ProcessLookupError(f"no QEMU of {self.mark}")

    def rss(self):
        """Bytes of the host's memory that QEMU has, and those for the guest's."""
        whole = ram = size = 0
        for line in Path(f"/proc/{self.pid()}/smaps").open(encoding="ascii"):
            if line.startswith("Size:"):
                size = int(line.split()[1])
            elif line.startswith("Rss:"):
                rss = int(line.split()[1])
                whole += rss
                ram += rss * (size == self.MIB << 10)
        return whole << 10, ram << 10

    def alive(self):
        """How many resources the host has."""
        text = self.trace.read_text("ascii", errors="replace")
        return text.count("virtio_gpu_cmd_res_create_") - \
            text.count("virtio_gpu_cmd_res_unref")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.join()
        self.process.stdout.close()
