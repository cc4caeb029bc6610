# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of virtgpu-cachectl share: running it, and what is so always.

CACHECTL is the command, which may be the program under a checker that ends
with status 99 when it finds something.
"""

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import tree

CACHECTL = shlex.split(os.environ["CACHECTL"])
NOBODY = 65534

DONE, FAILED, USAGE, NO_DEVICE, DENIED = range(5)


def needs(program):
    """Skip where it isn't installed."""
    return unittest.skipUnless(shutil.which(program), f"no {program} here")


class Test(unittest.TestCase):
    """With a tree of DEVICES devices."""

    devices = 1

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        Path(folder.name).chmod(0o755)
        self.tree = tree.Tree(folder.name, self.devices)

    def command(self, *args):
        return [*CACHECTL, "--sysroot", str(self.tree.root), *args]

    def cachectl(self, *args, status=DONE, **more):
        """Run it: what it printed, or with another STATUS its complaint."""
        ran = subprocess.run(self.command(*args), check=False, text=True,
                             stdin=subprocess.DEVNULL, timeout=60,
                             **{"stdout": subprocess.PIPE,
                                "stderr": subprocess.PIPE, **more})
        self.assertEqual(ran.returncode, status, ran.stderr)
        if status == DONE:
            self.assertEqual(ran.stderr, "")
            return ran.stdout
        # What and where, then what to do
        what, *todo = ran.stderr.splitlines()
        self.assertTrue(what.startswith("virtgpu-cachectl: "), what)
        for line in todo:
            self.assertTrue(line.startswith("  "), line)
        return ran.stderr

    def json(self, *args, **more):
        (rows,) = json.loads(self.cachectl("--json", *args, **more)).values()
        return rows

    def knob(self, name, number=0):
        return self.tree.read(self.tree.cache(number, name)).strip()

    def as_nobody(self):
        """Arguments for cachectl() to run it as somebody who owns nothing."""
        if os.geteuid():
            return {}
        return {"user": NOBODY, "group": NOBODY, "extra_groups": ()}
