# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots of the Debian suites: how they are made, kept and entered.

A root is a folder with a suite's user space, kernel, headers and compiler.
It is what the module is built in, and what a guest's disk is made of.  All
that is made here lies outside the checkout, under a name that ends in a hash
of what it was made from, and appears there only when it is complete.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache",
             "virtgpu-bo-cache")

# In a root, the checkout and the cache folder are always found here.
PROJECT_IN_ROOT = "/mnt/project"
CACHE_IN_ROOT = "/mnt/cache/virtgpu-bo-cache"

# The kernel with all that it takes to build a module for it; the plumbing of
# the guest; Mesa and the programs that use it; what the test programs need.
PACKAGES = """
    linux-image-amd64 linux-headers-amd64 linux-source
    make gcc libc6-dev coccinelle sparse perl pkg-config xz-utils python3
    busybox-static kmod udev procps iproute2 cpio trace-cmd qemu-guest-agent
    libgl1-mesa-dri libegl-mesa0 mesa-utils kmscube glmark2-es2-drm weston
    libdrm-dev libdrm-tests libgbm-dev libegl-dev libgles-dev
    libtracefs-dev libtraceevent-dev libtracecmd-dev libcmocka-dev
    libsmartcols-dev libncurses-dev libjansson-dev
    jq tmux mandoc python3-prometheus-client
""".split()

# QEMU is forky's for all suites: it can do blobs, and the host needs none.
SUITES = {
    "bookworm": [*PACKAGES, "dkms"],
    "trixie": [*PACKAGES, "dkms"],
    "forky": PACKAGES + """
        igt-gpu-tools-tests igt-gpu-tools gnuplot-nox fonts-dejavu-core
        valgrind clang libclang-rt-dev promtool xterm imagemagick
        chromium-headless-shell
        g++ flex bison bc libelf-dev
        qemu-system-x86 qemu-system-gui qemu-system-modules-opengl xvfb
    """.split(),
}

# Packages, the patch series and the documents are made in one more root.  It is
# of the oldest suite, so that the programs in the packages run in all.
PACKAGING = "packaging"
PACKAGING_SUITE = "bookworm"
ROOTS = {**SUITES, PACKAGING: """
    build-essential debhelper dh-dkms lintian fakeroot pkg-config
    libsmartcols-dev libncurses-dev libegl-dev libjansson-dev mandoc
    libtracecmd-dev libtracefs-dev libtraceevent-dev
    git perl codespell python3-sphinx python3-yaml graphviz
""".split()}

# Suites that are forky's root with a kernel of our own, of scripts/NAME.config:
# what it is and how long it takes to make.
DEBUG = "debug"
OWN_KERNELS = {
    DEBUG: "the debug kernel (15 minutes)",
    "um": "the user-mode kernel (5 minutes)",
}
OWN_KERNELS_ROOT = "forky"

# A testing suite's Release file may be past its date on a slow mirror; what
# counts are the signatures, and these are still checked.
MMDEBSTRAP = [
    "mmdebstrap", "--variant=minbase",
    '--aptopt=Acquire::Check-Valid-Until "false"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
]

# The first process of the private namespaces.  All mounts vanish with it.
ENTER = """
set -e
root=$1 user=$2 group=$3 groups=$4; shift 4
mount --make-rprivate /
while [ "$1" != -- ]; do
	mkdir -p "$root$2"
	mount --rbind "$1" "$root$2"
	shift 2
done
shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -m 1777 "$root/tmp/.X11-unix"
set +e
chroot "$root" /usr/bin/setpriv --reuid "$user" --regid "$group" \\
	--groups "$groups" -- "$@"
exit $?
"""


class SetupError(Exception):
    """Something that the work needs cannot be had; the text says what."""


class Stopped(SystemExit):
    """A signal told us to end."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def owner():
    """The user and group of the checkout: they own what is built in it."""
    stat = PROJECT.stat()
    return stat.st_uid, stat.st_gid


def become_root():
    """Run this very command again through sudo, unless we are root."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        raise SetupError("needs root, or sudo")
    # setpriv: when somebody kills sudo we must not be left behind.
    os.execvp("sudo", [
        "sudo", f"XDG_CACHE_HOME={CACHE.parent}",
        "setpriv", "--pdeathsig", "KILL",
        sys.executable, "-B", *sys.argv])


def signals_raise():
    """Make the signals that end a program unwind it first."""
    def stop(number, _frame):
        raise Stopped(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def key(*parts):
    """A short name for what a thing is made from."""
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextlib.contextmanager
def lock(name):
    """Hold the lock NAME; the kernel drops it when we die."""
    path = CACHE / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting: another process is making {name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached(path, what, make):
    """PATH, after make(temporary path) has made it, if it was not there.

    PATH gets its name when it is complete.  What an interrupted run left is
    removed by the next one.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(path.name):
        if path.exists():
            return path
        say(f"making {what}")
        partial = path.parent / f"{path.name}.partial"
        remove(partial)
        try:
            make(partial)
            partial.rename(path)
        finally:
            remove(partial)
    return path


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def private(command, *options):
    """The command line that runs COMMAND where its mounts are its own.

    It and its children live in a pid namespace too: when the process made by
    this command line dies, or its parent, all of them die.
    """
    return ["setpriv", "--pdeathsig", "KILL",
            "unshare", "--mount", "--pid", "--fork", "--kill-child", *options,
            "--", *command]


@contextlib.contextmanager
def started(command, fds=(), **options):
    """A process of a private() COMMAND.  In the end nothing of it is alive."""
    lifeline, held = os.pipe()
    process = subprocess.Popen(command, pass_fds=(held, *fds), **options)
    os.close(held)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        # The other end closes with the last process that was born in there.
        os.read(lifeline, 1)
        os.close(lifeline)


def run(command):
    """Run COMMAND with its output on our stderr; SetupError if it fails."""
    if not shutil.which(command[0]):
        raise SetupError(f"{command[0]} is not installed: run scripts/setup")
    with started(private(command, "--mount-proc"), stdin=subprocess.DEVNULL,
                 stdout=sys.stderr) as process:
        status = process.wait()
    if status:
        raise SetupError(f"{command[0]} failed ({status})")


def run_in(command, **options):
    """Run an enter() COMMAND: its exit status."""
    with started(command, env=environment(), **options) as process:
        try:
            status = process.wait()
        except Stopped:
            # Ctrl-C reaches COMMAND too: let a make remove half-made files.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=3)
            raise
    return status if status >= 0 else 128 - status


def root_path(suite):
    suite = OWN_KERNELS_ROOT if suite in OWN_KERNELS else suite
    name = f"{suite}-{key(*MMDEBSTRAP, *sorted(ROOTS[suite]))}"
    return CACHE / "roots" / name


def make_root(suite):
    """The path of SUITE's root."""
    suite = OWN_KERNELS_ROOT if suite in OWN_KERNELS else suite

    def make(path):
        run(MMDEBSTRAP + ["--include=" + ",".join(ROOTS[suite]),
                          PACKAGING_SUITE if suite == PACKAGING else suite,
                          str(path)])
    return cached(root_path(suite), f"the root of {suite} (a few minutes, "
                  "about 500 MB to download)", make)


def make_kernel(suite):
    """The folder with SUITE's kernel, in boot and lib/modules."""
    root = make_root(suite)
    if suite not in OWN_KERNELS:
        return root
    scripts = PROJECT / "scripts"
    made_from = [(scripts / name).read_bytes()
                 for name in ("own-kernel", f"{suite}.config")]

    def make(path):
        path.mkdir()
        script = f"{PROJECT_IN_ROOT}/scripts/own-kernel"
        status = run_in(enter(root, [script, suite, in_root(path)],
                              as_root=True), stdout=sys.stderr)
        if status:
            raise SetupError(f"no kernel for {suite} ({status})")
    return cached(CACHE / suite / key(root.name, *made_from),
                  OWN_KERNELS[suite], make)


def in_root(path):
    """Where PATH, which is in the cache folder, is in a root."""
    return f"{CACHE_IN_ROOT}/{path.relative_to(CACHE)}"


def kernel_binds(suite):
    """What enter() is to bind so that SUITE's kernel is the root's only one."""
    if suite not in OWN_KERNELS:
        return []
    return [(make_kernel(suite) / "lib/modules", "/lib/modules")]


def enter(root, command, binds=(), groups=(), as_root=False):
    """The private() command line that runs COMMAND in ROOT.

    It runs as the owner of the checkout.  BINDS are pairs of a path outside
    and its path inside.
    """
    uid, gid = (0, 0) if as_root else owner()
    pairs = [(PROJECT, PROJECT_IN_ROOT), (CACHE, CACHE_IN_ROOT), *binds]
    return private([
        "sh", "-c", ENTER, "enter", str(root), str(uid), str(gid),
        ",".join(str(group) for group in (gid, *groups)),
        *[str(path) for pair in pairs for path in pair], "--", *command])


def environment(**more):
    """The environment in a root: nothing of the caller's but the terminal."""
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
        "XDG_CACHE_HOME": os.path.dirname(CACHE_IN_ROOT),
        **more,
    }
