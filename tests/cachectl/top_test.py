# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shown on a terminal: top, and colours."""

import re

import cli
from terminal import Terminal

COLOUR = re.compile(r"\x1b\[(\d+;)*3[0-7]m")


@cli.needs("tmux")
class TopTest(cli.Test):
    devices = 2

    def top(self, *args, **more):
        return Terminal(self.command("top", *args, "100ms"), **more)

    def quit(self, terminal):
        terminal.type("q")
        self.assertEqual(terminal.wait_end(), 0)

    def test_top(self):
        """devices, clients and a graph, until q is pressed"""
        self.tree.add_client(100, "renderD128", client=7, name="weston")
        self.tree.add_client(101, "card1", client=8, total=4096, name="kms")
        # the same file, handed on
        self.tree.add_client(102, "renderD128", client=7, name="other")
        self.tree.count(0, held_pages_bytes=48 << 20, held_pages_bos=12)
        with self.top() as terminal:
            screen = terminal.wait(
                lambda text: re.search("[▆█].*(weston|other)", text, re.S))
            self.assertRegex(screen, r"pages +12 +48M +0\.0")
            rows = [line.split() for line in screen.splitlines()
                    if re.match(r" *10\d ", line)]
            self.assertEqual([row[-1] for row in rows][:1], ["kms"])
            self.assertEqual(len(rows), 2)
            self.assertEqual(rows[0][1:-1], ["virtio1", "8", "4M", "128K",
                                             "0B", "64K"])
            self.quit(terminal)

    def test_one(self):
        """--device leaves the others and their clients out"""
        self.tree.add_client(100, "card0", client=7, name="weston")
        with self.top("--device", "card1") as terminal:
            screen = terminal.wait(lambda text: "virtio1" in text)
            self.assertNotIn("virtio0", screen)
            self.assertNotIn("weston", screen)
            self.quit(terminal)

    def test_removed(self):
        """a device may go and come back, and so may all"""
        with self.top() as terminal:
            terminal.wait(lambda text: "virtio0" in text)
            self.tree.remove(0)
            terminal.wait(lambda text: "virtio0" not in text)
            self.tree.remove(1)
            terminal.wait(lambda text: "waiting" in text)
            self.tree.put_back(0)
            terminal.wait(lambda text: "virtio0" in text)
            self.quit(terminal)

    def test_sizes(self):
        """it fits into any terminal"""
        with self.top() as terminal:
            terminal.wait(lambda text: "virtio1" in text)
            for size in (200, 60), (20, 5), (3, 2), (120, 30):
                terminal.resize(*size)
            terminal.wait(lambda text: "virtio1" in text)
            self.quit(terminal)

    def test_interrupt(self):
        """Ctrl-C leaves the terminal as it was"""
        with self.top() as terminal:
            terminal.wait(lambda text: "virtio1" in text)
            terminal.type("C-c")
            self.assertEqual(terminal.wait_end(), 0)

    def test_colours(self):
        """there are some, unless NO_COLOR says not"""
        self.tree.write(self.tree.cache(0, "enabled"), "0\n")
        for command in ("top", "100ms"), ("doctor",):
            for wanted, environment in ((True, {}), (True, {"NO_COLOR": ""}),
                                        (False, {"NO_COLOR": "1"})):
                with Terminal(self.command(*command),
                              **environment) as terminal:
                    terminal.wait(lambda text: "virtio1" in text)
                    coloured = COLOUR.search(terminal.screen("-e"))
                    self.assertEqual(bool(coloured), wanted,
                                     (command, environment))
