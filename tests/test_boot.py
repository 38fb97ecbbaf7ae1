# SPDX-License-Identifier: Apache-2.0
"""Kernel bundles and the initramfs, from Debian's cloud kernel (tools/fetch.sh kernel).

HOSTEL_KERNEL_DEB names the .deb.
"""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("HOSTEL_BUILD", TOP / "build"))
TOOL = BUILD / "tests/tools/boot_tool"
DEB = os.environ["HOSTEL_KERNEL_DEB"]

pytestmark = pytest.mark.skipif(not os.path.exists(DEB) or not TOOL.exists(),
                                reason="needs a kernel (tools/fetch.sh kernel) and a build")


def tool(*args, check=True):
    r = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=60)
    if not check:
        return r
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


def job(**args):
    """A job of hostel-image; its last line."""
    r = subprocess.run([BUILD / "hostel-image"], input=json.dumps(args),
                       capture_output=True, text=True, timeout=60)
    return r.returncode, json.loads(r.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostel")
    tool("add", root, "debian", DEB)
    return root


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    d = tmp_path_factory.mktemp("deb")
    subprocess.run(["dpkg-deb", "-x", DEB, d], check=True)
    return d


def vmlinuz(unpacked):
    return next(unpacked.glob("boot/vmlinuz-*"))


def modules(unpacked):
    return next(unpacked.glob("lib/modules/*"))


def test_a_deb_becomes_a_bundle(root, unpacked):
    d = root / "kernels/debian"
    b = json.loads((d / "bundle.json").read_text())
    assert b["version"] == 1 and b["name"] == "debian"
    assert b["kernel"] == vmlinuz(unpacked).name.removeprefix("vmlinuz-")
    assert (d / "vmlinuz").read_bytes() == vmlinuz(unpacked).read_bytes()
    assert b["sha256"] == subprocess.run(["sha256sum", d / "vmlinuz"], capture_output=True,
                                         text=True).stdout.split()[0]
    assert (d / b["vmlinux"]).read_bytes()[:4] == b"\x7fELF"
    assert b["features"]["ext4"] == [], "built into the cloud kernel"
    named = {m for order in b["features"].values() for m in order}
    assert {f.stem for f in (d / "modules").iterdir()} == named, "only what is needed"
    assert list((root / "tmp").iterdir()) == []


def test_each_module_comes_after_what_it_needs(root):
    d = root / "kernels/debian"
    for feature, order in json.loads((d / "bundle.json").read_text())["features"].items():
        for i, m in enumerate(order):
            data = (d / f"modules/{m}.ko").read_bytes()
            needs = data.split(b"\0depends=", 1)[1].split(b"\0")[0].decode()
            for n in filter(None, needs.replace("-", "_").split(",")):
                assert n in order[:i], f"{feature}: {m} needs {n}"


def test_signatures_are_left_out_where_the_kernel_does_not_insist(root, unpacked):
    marker = b"~Module signature appended~\n"
    assert next(modules(unpacked).rglob("erofs.ko")).read_bytes().endswith(marker)
    for m in (root / "kernels/debian/modules").iterdir():
        assert not m.read_bytes().endswith(marker)
    tool("add", root, "careful", vmlinuz(unpacked), modules(unpacked))
    for m in (root / "kernels/careful/modules").iterdir():
        assert m.read_bytes().endswith(marker), "its configuration is not known"


@pytest.mark.parametrize("suffix,program", [("xz", "xz"), ("gz", "gzip"), ("zst", "zstd")])
def test_packed_modules_are_unpacked(root, unpacked, tmp_path, suffix, program):
    if not shutil.which(program):
        pytest.skip(f"needs {program}")
    tree = tmp_path / "modules"
    shutil.copytree(modules(unpacked), tree, symlinks=True)
    for m in list(tree.rglob("*.ko")):
        if m.stem.startswith(("virtio", "erofs", "overlay", "libcrc", "net_fail", "fail")):
            subprocess.run([program, "-q", m], check=True)
            m.unlink(missing_ok=True)
    tool("add", root, suffix, vmlinuz(unpacked), tree)
    got = root / f"kernels/{suffix}/modules/erofs.ko"
    assert got.read_bytes() == next(modules(unpacked).rglob("erofs.ko")).read_bytes()


def test_the_initramfs_holds_init_and_modules_in_order(root, tmp_path):
    guest = tmp_path / "hostel-guest"
    guest.write_bytes(b"#!/bin/true\n")
    path = tool("initramfs", root, "debian", guest, "virtio_blk", "virtio_pci")
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["cpio", "-idm", "--quiet"], stdin=open(path, "rb"), cwd=out, check=True)
    assert (out / "init").read_bytes() == guest.read_bytes()
    assert os.access(out / "init", os.X_OK)
    assert (out / "dev/console").is_char_device()
    lines = (out / "modules.list").read_text().splitlines()
    b = json.loads((root / "kernels/debian/bundle.json").read_text())["features"]
    assert lines == [f"/modules/{m}.ko" for m in
                     dict.fromkeys(b["virtio_blk"] + b["virtio_pci"])]
    for line in lines:
        assert (out / line[1:]).read_bytes() == \
            (root / "kernels/debian" / line[1:]).read_bytes()


def test_the_same_content_is_made_once(root, tmp_path):
    guest = tmp_path / "hostel-guest"
    guest.write_bytes(b"one")
    first = tool("initramfs", root, "debian", guest)
    inode = os.stat(first).st_ino
    assert tool("initramfs", root, "debian", guest) == first
    assert os.stat(first).st_ino == inode
    guest.write_bytes(b"two")
    assert tool("initramfs", root, "debian", guest) != first


def test_a_bundle_is_replaced_whole(root, unpacked):
    tool("add", root, "again", DEB)
    (root / "kernels/again/mark").touch()
    tool("add", root, "again", vmlinuz(unpacked), modules(unpacked))
    assert not (root / "kernels/again/mark").exists()
    assert list((root / "tmp").iterdir()) == []


@pytest.mark.parametrize("args,text", [
    (("debian2", "/nonexistent"), "open /nonexistent: No such file"),
    (("debian2", "/bin/true"), "no x86 kernel image"),
    (("../x", DEB), "is no name for a kernel"),
    (("", DEB), "is no name for a kernel"),
    (("a/b", DEB), "is no name for a kernel"),
])
def test_a_bad_source_is_refused_and_leaves_nothing(root, args, text):
    before = sorted((root / "kernels").iterdir())
    r = tool("add", root, *args, check=False)
    assert r.returncode == 1 and text in r.stderr
    assert sorted((root / "kernels").iterdir()) == before
    assert list((root / "tmp").iterdir()) == []


def test_a_kernel_without_what_we_need_is_refused(root, unpacked, tmp_path):
    tree = tmp_path / "modules"
    shutil.copytree(modules(unpacked), tree, symlinks=True)
    next(tree.rglob("erofs.ko")).unlink()
    r = tool("add", root, "poor", vmlinuz(unpacked), tree, check=False)
    assert r.returncode == 1 and r.stderr.strip().endswith("has no erofs")


@pytest.mark.parametrize("args,text", [
    (("nokernel", "/bin/true"), 'no kernel "nokernel"'),
    (("debian", "/nonexistent"), "hostel-guest: open /nonexistent"),
    (("debian", "/bin/true", "warp"), 'no feature "warp"'),
])
def test_a_bad_initramfs_is_refused(root, args, text):
    r = tool("initramfs", root, *args, check=False)
    assert r.returncode == 1 and text in r.stderr


def test_the_worker_does_both_jobs(root):
    code, last = job(job="kernel-add", root=str(root), source=DEB)
    assert code == 0, last
    name = last["done"]["name"]
    assert name == last["done"]["kernel"], "named after its version"
    code, last = job(job="initramfs", root=str(root), kernel=name, guest="/bin/true")
    assert code == 0 and os.path.exists(last["done"]["path"])
    code, last = job(job="kernel-add", root=str(root), source="/nonexistent")
    assert code == 1 and last["error"]["kind"] == "NOT_FOUND"


def test_the_worker_probes_kvm(root):
    code, last = job(job="kvm-probe", root=str(root), path="/nonexistent/kvm")
    assert code == 0
    assert last["done"] == {"verdict": "absent", "rate": 0,
                            "reason": "/nonexistent/kvm is absent"}
