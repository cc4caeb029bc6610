# SPDX-License-Identifier: GPL-2.0-or-later
"""Sphinx's settings, for "make docs".  The directives are the kernel's own."""

import os
import sys

srctree = os.environ["srctree"]
sys.path.insert(0, os.path.join(srctree, "Documentation/sphinx"))

project = "virtgpu-bo-cache"
extensions = ["kerneldoc", "kfigure"]
kerneldoc_srctree = srctree
root_doc = "index"
html_theme = "alabaster"
html_copy_source = False
nitpicky = False
