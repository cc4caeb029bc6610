# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces that never were: trace.dat files with the driver's events.

What the events look like is read from the driver's source, so that a field that
is added or renamed there is so here.
"""

import re
import struct

import tree

SOURCE = tree.PROJECT / "drivers/gpu/drm/virtio/virtgpu_bo_cache_trace.h"
SYSTEM = "virtio_gpu_bo_cache"
PAGE = 4096
PAGE_HEAD = 16

COMMON = (("unsigned short", "common_type", 2), ("unsigned char", "common_flags", 1),
          ("unsigned char", "common_preempt_count", 1), ("int", "common_pid", 4))

HEADER_PAGE = """\
	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:0;
"""

HEADER_EVENT = """\
# compressed entry header
	type_len    :    5 bits
	time_delta  :   27 bits
	array       :   32 bits

	padding     : type == 29
	time_extend : type == 30
	time_stamp : type == 31
	data max type_len  == 28
"""


def layout(body):
    """The fields of an event: name, struct format, offset, size."""
    offset, fields = 8, []
    for width, name in re.findall(r"__field\(u(\d+), (\w+)\)", body):
        size = int(width) // 8
        offset = (offset + size - 1) // size * size
        fields.append((name, {1: "B", 2: "H", 4: "I", 8: "Q"}[size], offset,
                       size))
        offset += size
    return fields


def events():
    """By name without "bo_cache_", what each event's fields are."""
    text = SOURCE.read_text("ascii")
    found, classes = {}, {}
    for kind, name, body in re.findall(
            r"^(TRACE_EVENT|DECLARE_EVENT_CLASS)\((\w+),(.*?)^\);", text,
            re.M | re.S):
        (found if kind == "TRACE_EVENT" else classes)[name] = layout(body)
    for name in re.findall(r"^BO_CACHE_(?:ENTRY|REASON)_EVENT\((bo_\w+)", text,
                           re.M):
        found[name] = classes["bo_cache_entry"]
    for name in re.findall(
            r"^DEFINE_EVENT(?:_PRINT)?\(bo_cache_bo, (\w+)", text, re.M):
        found[name] = classes["bo_cache_bo"]
    return {name.removeprefix("bo_cache_"): fields
            for name, fields in found.items()}


EVENTS = events()
IDS = {name: 1000 + number for number, name in enumerate(sorted(EVENTS))}


def format_text(name):
    """As tracefs has it in the event's folder."""
    lines = [f"name: bo_cache_{name}", f"ID: {IDS[name]}", "format:"]
    offset = 0
    for kind, field, size in COMMON:
        lines.append(f"\tfield:{kind} {field};\toffset:{offset};"
                     f"\tsize:{size};\tsigned:{int(kind == 'int')};")
        offset += size
    lines.append("")
    for field, _, offset, size in EVENTS[name]:
        lines.append(f"\tfield:u{8 * size} {field};\toffset:{offset};"
                     f"\tsize:{size};\tsigned:0;")
    first = EVENTS[name][0][0]
    lines += ["", f'print fmt: "{first}=%llu", REC->{first}', ""]
    return "\n".join(lines)


class Trace:
    """Events of one processor, in the order of time."""

    def __init__(self, **always):
        self.always = {"dev": 0, **always}
        self.pages, self.page, self.begin, self.last = [], b"", 0, 0
        self.n, self.lost = 0, False
        self.names = {}

    def event(self, ms, name, pid=100, **values):
        """At so many milliseconds; fields that are not given are 0."""
        ns = round(ms * 1000000)
        self.n += 1
        fields = EVENTS[name]
        end = fields[-1][2] + fields[-1][3]
        data = bytearray((end + 3) // 4 * 4)
        struct.pack_into("=HBBi", data, 0, IDS[name], 0, 0, pid)
        values = {**self.always, **values}
        for field, code, offset, _ in fields:
            struct.pack_into(f"={code}", data, offset,
                             int(values.get(field, 0)))
        self.add(ns, bytes(data))

    def add(self, ns, data):
        """Into the page, or the next if there is no room or it is late."""
        if not self.page:
            self.begin = self.last = ns
        if (len(self.page) + 8 + len(data) > PAGE - PAGE_HEAD or
                ns - self.last >= 1 << 27):
            self.end_page()
            self.begin = self.last = ns
        # Longer ones have their length in a word of its own
        if len(data) <= 28 * 4:
            head = struct.pack("=I", len(data) // 4 | (ns - self.last) << 5)
        else:
            head = struct.pack("=II", (ns - self.last) << 5, len(data) + 4)
        self.last = ns
        self.page += head + data

    def end_page(self):
        if self.page:
            self.pages.append(
                struct.pack("=QQ", self.begin,
                            len(self.page) | self.lost << 31) +
                self.page.ljust(PAGE - PAGE_HEAD, b"\0"))
            self.page, self.lost = b"", False

    def lose(self):
        """The kernel has no room for the next events."""
        self.end_page()
        self.lost = True

    def file(self, pages=None):
        """The whole trace.dat; PAGES may say how many bytes of them come."""
        self.end_page()
        data = b"".join(self.pages)
        return head(self.names, [len(data) if pages is None else pages]) + data

    def write(self, path, times, period_ms):
        """The whole trace.dat, with all that happens so many TIMES."""
        self.end_page()
        with open(path, "wb") as file:
            file.write(head(self.names, [times * len(self.pages) * PAGE]))
            for i in range(times):
                for page in self.pages:
                    begin, = struct.unpack_from("=Q", page)
                    file.write(struct.pack(
                        "=Q", begin + i * period_ms * 1000000))
                    file.write(page[8:])

    # What the driver does, in several events

    def create(self, ms, hit=None, reason=0, took_us=100, pid=100, **values):
        """A BO is asked for, and comes from the tier HIT or is new."""
        values = {"size": 65536, "bucket": 16, "timeout_ms": 1000,
                  "max_bytes": 64 << 20, "tgid": pid, "owner": 1, "kind": 2,
                  "ident": 7, "width": 64, **self.always, **values}
        self.event(ms, "create", pid, **values)
        if hit:
            self.event(ms, "hit", pid, tier=hit, **values)
        else:
            self.event(ms, "miss", pid, reason=reason, **values)
        self.event(ms + took_us / 1000, "created", pid, took_us=took_us,
                   tier=hit or 0, **values)

    def free(self, ms, res_id, pid=100, tier=1, **values):
        """One is freed, and enters the resource tier or goes to the host."""
        values = {"size": 65536, "bucket": 16, "timeout_ms": 1000,
                  "max_bytes": 64 << 20, "owner": 1, "kind": 2, "ident": 7,
                  "width": 64, "res_id": res_id, **self.always, **values}
        self.event(ms, "free", pid, tier=tier, **values)
        if tier == 1:
            self.event(ms, "put", pid, tier=1, **values)


def sized(data):
    return struct.pack("=Q", len(data)) + data


def head(names, sizes):
    """All that comes before the pages, of which each processor has SIZES."""
    text = b"\x17\x08\x44tracing6\0" + struct.pack("=BBI", 0, 8, PAGE)
    text += b"header_page\0" + sized(HEADER_PAGE.encode())
    text += b"header_event\0" + sized(HEADER_EVENT.encode())
    text += struct.pack("=II", 0, 1) + SYSTEM.encode() + b"\0"
    text += struct.pack("=I", len(EVENTS))
    for name in EVENTS:
        text += sized(format_text(name).encode())
    text += struct.pack("=II", 0, 0)
    text += sized("".join(f"{pid} {name}\n" for pid, name in
                          names.items()).encode("utf-8", "surrogateescape"))
    text += struct.pack("=I", len(sizes)) + b"options  \0"
    text += struct.pack("=H", 0) + b"flyrecord\0"
    offset = len(text) + 16 * len(sizes)
    table = b""
    for size in sizes:
        offset = (offset + PAGE - 1) // PAGE * PAGE
        table += struct.pack("=QQ", offset, size)
        offset += size
    text += table
    return text.ljust((len(text) + PAGE - 1) // PAGE * PAGE, b"\0")
