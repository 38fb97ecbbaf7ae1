# SPDX-License-Identifier: Apache-2.0
"""kvm_probe() inside a machine under emulation that has KVM (nested SVM): the verdict must be usable.

Needs Debian's cloud kernel as a .deb (tools/fetch.sh kernel): HOSTEL_KERNEL_DEB names it.
"""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from riglib import newc

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("HOSTEL_BUILD", TOP / "build"))
QEMU = shutil.which("qemu-system-x86_64")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    deb = os.environ["HOSTEL_KERNEL_DEB"]
    if not QEMU or not os.path.exists(deb):
        pytest.skip("needs qemu-system-x86_64 and a kernel (tools/fetch.sh kernel)")
    root = tmp_path_factory.mktemp("kernel")
    subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
    return root


def test_a_kvm_that_works_is_found_usable(kernel, tmp_path):
    modules = ["irqbypass", "kvm", "kvm-amd"]
    entries = [("dev", 0o40755, b""), ("dev/console", 0o20600, (5, 1)),
               ("init", 0o100755, (BUILD / "tests/tools/kvm_rig").read_bytes()),
               ("kvm.list", 0o100644, "".join(f"/{m}.ko\n" for m in modules).encode())]
    for m in modules:
        entries.append((f"{m}.ko", 0o100644, next(kernel.rglob(f"{m}.ko")).read_bytes()))
    initrd = tmp_path / "initrd"
    initrd.write_bytes(newc(entries))
    r = subprocess.run(
        [QEMU, "-accel", "tcg", "-cpu", "max", "-M", "q35", "-m", "512", "-nodefaults",
         "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
         "-kernel", next(kernel.glob("boot/vmlinuz-*")), "-initrd", initrd,
         "-append", "console=ttyS0 quiet panic=-1"],
        capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
    m = re.search(r"^probe: (\w+) (\d+) (.*?)\r?$", r.stdout, re.M)
    assert m, r.stdout[-2000:]
    assert m[1] == "usable", m[3]
    assert int(m[2]) > 20_000_000
