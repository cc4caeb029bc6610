# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal to run a program on, to type there and to look at it: tmux."""

import os
import subprocess
import tempfile
import time
from pathlib import Path


# tmux may know that a program has ended and never its status
RUN = 'trap : INT; "$@"; echo $? > "$STATUS"; exec sleep 3600'


class Terminal:
    """Runs COMMAND on a terminal of WIDTH and HEIGHT."""

    def __init__(self, command, width=120, height=30, **environment):
        self.folder = tempfile.TemporaryDirectory()
        self.ended = Path(self.folder.name, "status")
        environment["STATUS"] = self.ended
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width),
                  "-y", str(height), *(word for name, value in
                                       environment.items()
                                       for word in ("-e", f"{name}={value}")),
                  "sh", "-c", RUN, "sh", *command)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")
        self.folder.cleanup()

    def tmux(self, *args):
        ran = subprocess.run(
            ["tmux", "-S", f"{self.folder.name}/socket", *args], check=True,
            text=True, stdout=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"})
        return ran.stdout

    def screen(self, *args):
        return self.tmux("capture-pane", "-p", *args)

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def status(self):
        """The program's exit status, or None."""
        text = self.ended.read_text("ascii") if self.ended.exists() else ""
        return int(text) if text.endswith("\n") else None

    def wait(self, condition, seconds=30):
        """Until CONDITION(screen) holds; what is shown then."""
        limit = time.monotonic() + seconds
        while not condition(screen := self.screen()):
            if time.monotonic() > limit:
                raise TimeoutError(screen)
            time.sleep(0.1)
        return screen

    def wait_end(self, seconds=30):
        self.wait(lambda _: self.status() is not None, seconds)
        return self.status()
