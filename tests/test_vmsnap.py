# SPDX-License-Identifier: Apache-2.0
"""VMs whose state is written to a folder and brought back, by hostel-shim: src/qemu/{checkpoint,restore,saved,split}.c."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import time

import pytest

import shimlib
import vmlib
from shimlib import STDERR, STDIN, STDOUT, ShimError

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(vmlib.DEB) or not vmlib.DRIVER.exists(),
                                reason="needs root, a kernel (tools/fetch.sh kernel) and a build")

COUNTER = 'i=0; while read x; do i=$((i+1)); echo "$i $x"; done; echo over'


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    return vmlib.make_kernel(tmp_path_factory.mktemp("hostel"))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return vmlib.make_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module", autouse=True)
def no_cgroups_left():
    yield
    for d in pathlib.Path("/sys/fs/cgroup").glob(f"*/hostel-vmsnap-{os.getpid()}"):
        d.rmdir()


class SnapVm(shimlib.Shim):
    """A VM under hostel-shim."""
    count = 0

    def __init__(self, base, kernel, image, *args, restore=None, ident=None, stdin=True, options=(), disks_of=None, **kw):
        SnapVm.count += 1
        self.ident = ident or f"{os.getpid():08x}{SnapVm.count:04x}" + "0" * 52
        self.cgroup = f"/hostel-vmsnap-{os.getpid()}/{SnapVm.count}"
        base.mkdir(exist_ok=True)
        (base / "state").mkdir(exist_ok=True)
        if disks_of:
            vmlib.subprocess.run(["cp", "--sparse=always", disks_of.state / "rw.img", base / "state/rw.img"], check=True)
        plan = vmlib.make_plan(base / "state", self.ident, self.cgroup, *kernel, image, args or ("sh", "-c", COUNTER), **kw)
        plan["name"] = base.name
        options = [*options, *["--stdin"] * stdin, *(["--restore", str(restore)] if restore else [])]
        super().__init__(base, plan, ["--log", "json-file", *options], self.ident, kw.get("kind", "vm"), shimlib.SHIM)

    def connect(self):
        hello = super().connect()
        self.sock.settimeout(vmlib.PATIENCE)
        return hello

    def begin(self, streams=STDIN | STDOUT | STDERR):
        self.connect()
        c = self.attach(streams)
        c.sock.settimeout(vmlib.PATIENCE)
        self.qemu = self.start().pid
        return c

    def kill_payload(self):
        self.signal(9)
        code = self.wait(shimlib.EXITED).code
        self.bye()
        self.ended()
        return code

    def clean(self):
        self.kill()
        for d in pathlib.Path("/sys/fs/cgroup").glob("*" + self.cgroup):
            for _ in range(100):
                with contextlib.suppress(OSError):
                    d.rmdir()
                if not d.exists():
                    break
                time.sleep(0.02)


@pytest.fixture
def vm(tmp_path, kernel, image):
    made = []

    def make(*args, name="vm", **kw):
        made.append(SnapVm(tmp_path / name, kernel, image, *args, **kw))
        return made[-1]
    yield make
    for v in made:
        v.clean()


def say(client, word):
    client.send(word.encode() + b"\n")
    client.read_until(b" " + word.encode() + b"\n")
    return client


def folder(tmp_path, name):
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_it_stands_still_runs_on_and_comes_back_where_it_was(vm, tmp_path):
    first, second = folder(tmp_path, "first"), folder(tmp_path, "second")
    v = vm()
    c = v.begin()
    c.send(b"a\n")
    assert c.read_until(b"1 a\n")
    said = json.loads(v.checkpoint(first))
    assert said["bytes"] > 1 << 20 and said["frozen_ns"] > 0
    assert v.request(shimlib.QUERY, b"qmp:query-status") == "postmigrate"
    c.send(b"b\n")  # waits for it
    v.resume()
    assert c.read_until(b"2 b\n")
    v.checkpoint(second)
    assert v.kill_payload() == 137

    back = vm(name="vm", ident=v.ident, restore=second, options=["--stdin-once"])
    c = back.begin()
    c.send(b"c\n")
    assert c.read_until(b"3 c\n")
    copy = vm(name="copy", restore=first, disks_of=v)
    d = copy.begin()
    d.send(b"x\n")
    assert d.read_until(b"2 x\n")
    c.end()
    assert c.read_until(b"over\n")
    assert back.wait(shimlib.EXITED).code == 0
    assert copy.kill_payload() == 137
