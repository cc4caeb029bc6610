# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of Python's unittest in TAP, which tests/run reads."""

import sys
import unittest


class Tap(unittest.TestResult):
    """A line a test, with what went wrong behind it."""

    number = 0
    failed = 0

    def __init__(self, kind=""):
        super().__init__()
        self.kind = kind

    @classmethod
    def say(cls, good, name, why="", skipped=None):
        cls.number += 1
        cls.failed += not good
        skip = "" if skipped is None else f" # SKIP {skipped}"
        print(f"{'' if good else 'not '}ok {cls.number} - {name}{skip}")
        for line in why.splitlines():
            print(f"# {line}")
        sys.stdout.flush()

    def name(self, test):
        name = test.shortDescription() or str(test)
        return f"{self.kind}: {name}" if self.kind else name

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say(True, self.name(test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say(True, self.name(test), skipped=reason)

    def addError(self, test, err):
        super().addError(test, err)
        self.say(False, self.name(test), self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.say(False, self.name(subtest),
                     (self.failures + self.errors)[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say(False, self.name(test), self.failures[-1][1])
