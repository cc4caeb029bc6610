# SPDX-License-Identifier: GPL-2.0-or-later
"""The man page, --help and the completion say the same."""

import re
import subprocess

import cli
import tree

TOOL = tree.PROJECT / "tools/virtgpu-cachectl"
ALWAYS = {"--sysroot", "--help", "--version"}

# Stands in for the shell that asks for completions
COMPLETE = """
compopt() { :; }
virtgpu-cachectl() { %s "$@"; }
source %s
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_virtgpu_cachectl
printf '%%s\\n' "${COMPREPLY[@]}"
"""


def man_source():
    return (TOOL / "virtgpu-cachectl.8").read_text("ascii")


def section(title, following):
    """A part of the man page."""
    return man_source().split(title, 1)[1].split(following, 1)[0]


def man_synopsis():
    """Commands and their options; the list of devices is ''."""
    commands = {}
    for use in section(".Sh SYNOPSIS", ".Sh DESCRIPTION").split(".Nm\n")[1:]:
        name = re.match(r"\.Cm (\w+)", use)
        commands[name[1] if name else ""] = {
            f"-{option}" for option in re.findall(r"Fl (-[\w-]+)", use)}
    return commands


class TextTest(cli.Test):

    def help(self, *command):
        """The options that --help names, and the commands."""
        text = self.cachectl(*command, "--help")
        options = text.split("Options:\n")[1].split("\n\n")[0]
        commands = text.partition("Commands")[2].split("\n\n")[0]
        return (set(re.findall(r"--[\w-]+", re.sub("  [^ -].*", "", options))),
                re.findall(r"^  (\w+)", commands, re.M))

    def complete(self, *words, **more):
        script = COMPLETE % (" ".join(self.command()), TOOL / "completion.bash")
        ran = subprocess.run(
            ["bash", "-c", script, "bash", "virtgpu-cachectl", *words],
            check=True, capture_output=True, text=True, **more)
        self.assertEqual(ran.stderr, "")
        return set(filter(None, ran.stdout.splitlines()))

    def test_commands(self):
        """they name the same commands"""
        _, commands = self.help()
        synopsis = man_synopsis()
        described = re.findall(r"^\.It Cm (\w+)$",
                               section(".Ss Commands", ".Ss Options"), re.M)
        self.assertEqual(commands, list(synopsis)[1:])
        self.assertEqual(commands, described)
        self.assertEqual({word for word in self.complete("")
                          if not word.startswith("-")}, set(commands))

    def test_options(self):
        """they name the same options for each command"""
        for command, options in man_synopsis().items():
            words = [command] if command else []
            self.assertEqual(self.help(*words)[0], options | ALWAYS, command)
            self.assertEqual(self.complete(*words, "--"), options | ALWAYS,
                             command)

    def test_options_described(self):
        """every option is described, by the same letter"""
        described = dict(re.findall(
            r"^\.It (?:Fl (\w) , )?Fl -([\w-]+)",
            section(".Ss Options", ".Ss Keys"), re.M)[::-1])
        described = {f"--{name}": letter for letter, name in re.findall(
            r"^\.It (?:Fl (\w) , )?Fl -([\w-]+)",
            section(".Ss Options", ".Ss Keys"), re.M)}
        helped = {}
        for command in man_synopsis():
            text = self.cachectl(*[command] * bool(command), "--help")
            helped.update((name, letter) for letter, name in re.findall(
                r"^  (?:-(\w),|   ) (--[\w-]+)", text, re.M))
        self.assertEqual(described, helped)

    def test_arguments(self):
        """the completion knows what stands after options and commands"""
        self.assertEqual(self.complete("--device", ""), {"virtio0"})
        self.assertEqual(self.complete("show", "v"), {"virtio0"})
        self.assertEqual(self.complete("purge", "--tier", "p"),
                         {"pages", "purgeable"})
        self.assertEqual(self.complete("set", "t"), {"timeout_ms="})
        self.assertEqual(self.complete("get", "held_p"), {
            "held_pages_bos", "held_pages_bytes", "held_purgeable_bos",
            "held_purgeable_bytes"})
        self.assertEqual(self.complete("-o", "DEVICE,HI"), {
            "DEVICE,HIT%", "DEVICE,HITS-RESOURCE", "DEVICE,HITS-PAGES",
            "DEVICE,HITS-PURGEABLE"})
        self.assertEqual({word for word in self.complete("set", "")
                          if word.endswith("=")},
                         {f"{name}=" for name in tree.KNOBS})

    def test_files(self):
        """files are completed by name, whatever that is"""
        folder = self.tree.path("files")
        folder.mkdir()
        names = {"a b.dat", "a$(touch bad).dat", "a`touch bad`.dat", "a.dat"}
        for name in names:
            (folder / name).touch()
        for words in ((("report", "a"), ("advise", "a"),
                       ("report", "--html", "a"), ("record", "-f", "a"),
                       ("record", "--file", "a"), ("host", "a"),
                       ("host", "--guest", "a"), ("host", "--cgroup", "a"))):
            self.assertEqual(self.complete(*words, cwd=folder), names, words)
        self.assertFalse((folder / "bad").exists())
        self.assertEqual(self.complete("show", "a", cwd=folder), set())
        self.assertIn("printf", self.complete("record", "prin"))

    def test_keys(self):
        """the man page has all keys that can be set"""
        keys = re.findall(r"^\.It (\w+)$", section(".Ss Keys", ".Ss Units"),
                          re.M)
        self.assertEqual(keys, list(tree.KNOBS))

    @cli.needs("mandoc")
    def test_lint(self):
        """mandoc has nothing to say about the page"""
        ran = subprocess.run(["mandoc", "-T", "lint",
                              TOOL / "virtgpu-cachectl.8"], check=False,
                             capture_output=True, text=True)
        # What other pages are installed here says nothing about ours
        said = [line for line in (ran.stdout + ran.stderr).splitlines()
                if "referenced manual not found" not in line and
                "outdated mandoc.db" not in line]
        self.assertEqual(said, [])

    def test_version(self):
        """the version is the module's"""
        version = re.search(r"^version := (.*)$", (
            tree.PROJECT / "scripts/compile.mk").read_text("utf-8"), re.M)[1]
        self.assertEqual(self.cachectl("--version"),
                         f"virtgpu-cachectl {version}\n")
