#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of our files are in a kernel's tree, and how they get there.

Most are as they are here.  Some change files of upstream's:

  virtgpu_x.cocci   rules for virtgpu_x.c, see scripts/apply-rules; of
                    virtgpu_x_h.cocci for virtgpu_x.h
  Makefile.add      lines at the end of Makefile, likewise for Kconfig
  the uAPI header   its middle goes into upstream's, before the end

In FILE.add, as above a rule, a line may say which kernels the next is for:

  # kernel: >= 6.12        # kernel: < 7.0        # kernel: 6.1

A file of ours that Makefile.add names, but not for this kernel, is not in its
tree.
"""

import argparse
import operator
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
DRIVER = "drivers/gpu/drm/virtio"
MAKEFILE = f"{DRIVER}/Makefile.add"
UAPI = "include/uapi/drm/virtgpu_drm.h"

# The kernels there are patches for, and whose they are; upstream's first
SUITES = {"7.2": "forky", "6.12": "trixie", "6.1": "bookworm"}
LATEST = next(iter(SUITES))

KERNEL = re.compile(r"(?://|#)\s*kernel:\s*(<=|>=|<|>|=|)\s*(\d+)\.(\d+)\s*$")
COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt,
           ">=": operator.ge, "=": operator.eq, "": operator.eq}

GUARD = "#if defined(__cplusplus)\n"
SPDX = re.compile(r"#.*SPDX-License-Identifier.*\n\n?")


def version(release):
    """RELEASE as a pair of numbers."""
    return tuple(int(n) for n in re.match(r"(\d+)\.(\d+)", release).groups())


def is_for(condition, kernel):
    """Whether a match of KERNEL says so; without one it is for all."""
    if not condition:
        return True
    sign, major, minor = condition.groups()
    return COMPARE[sign](kernel, (int(major), int(minor)))


def lines_for(text, kernel):
    """Those lines of a FILE.add that are for KERNEL, continued ones whole."""
    condition = None
    for line in re.findall(r"(?:.*\\\n)*.*\n", SPDX.sub("", text, count=1)):
        found = KERNEL.match(line)
        if not found and is_for(condition, kernel):
            yield line
        condition = found


def named(lines):
    """The files that lines of a Makefile name, as far as they are ours."""
    return {name.removesuffix("o") + "c" if name.endswith(".o") else name
            for line in lines if not line.startswith("#")
            for name in re.findall(r"(?:CFLAGS_)?([\w/]+\.[oh])\b", line)}


def our_files(kernel):
    """Paths of our files in the tree, but those that change upstream's."""
    text = (PROJECT / MAKEFILE).read_text(encoding="ascii")
    others = named(text.splitlines()) - named(lines_for(text, kernel))
    folder = PROJECT / DRIVER
    return sorted(f"{DRIVER}/{path.relative_to(folder)}"
                  for path in folder.rglob("*.[ch]")
                  if str(path.relative_to(folder)) not in others)


def with_added(upstream, lines):
    """Upstream's text, with LINES of a FILE.add."""
    return upstream.rstrip("\n") + "\n\n" + "".join(lines)


def with_uapi(upstream, ours):
    """Upstream's header with what ours adds to it."""
    end = upstream.rindex(GUARD)
    start = ours.index("#endif\n\n", ours.index(GUARD)) + len("#endif\n\n")
    return upstream[:end] + ours[start:ours.rindex(GUARD)] + upstream[end:]


def combine(path, upstream, kernel):
    """Upstream's text with our file PATH."""
    ours = (PROJECT / path).read_text(encoding="ascii")
    if path == UAPI:
        return with_uapi(upstream, ours)
    return with_added(upstream, lines_for(ours, kernel))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    files = commands.add_parser("files", help="list our files")
    files.add_argument("release", metavar="RELEASE")
    add = commands.add_parser("add", help="add one of ours to upstream's")
    for name in "RELEASE", "OURS", "UPSTREAM", "OUT":
        add.add_argument(name.lower(), metavar=name)
    args = parser.parse_args()
    kernel = version(args.release)
    if args.command == "files":
        print("\n".join(our_files(kernel)))
    else:
        upstream = Path(args.upstream).read_text(encoding="utf-8")
        Path(args.out).write_text(combine(args.ours, upstream, kernel),
                                  encoding="utf-8")


if __name__ == "__main__":
    main()
