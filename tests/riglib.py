# SPDX-License-Identifier: Apache-2.0
"""A whole machine under emulation for what this host cannot show: pure cgroup v2, KVM (nested SVM).

Debian's cloud kernel in QEMU; its root is an EROFS image of the programs of this build, what they need, and
a script of tests/rig, whose results are read from the serial line.
"""
import os, pathlib, re, shutil, subprocess, sys, tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
OURS = 'hosteld hostel hostel-image hostel-shim hostel-guest'.split()
OTHERS = '''/usr/bin/qemu-system-x86_64 /usr/bin/qemu-img /usr/bin/mkfs.erofs /sbin/mke2fs /bin/busybox /usr/bin/xz
    /usr/bin/zstd'''.split()
FIRMWARE = '/usr/share/seabios/bios-256k.bin /usr/share/qemu/linuxboot_dma.bin /usr/share/qemu/pvh.bin /usr/share/qemu/kvmvapic.bin'.split()
MODULE_DIRS = 'arch crypto lib fs/overlayfs fs/erofs fs/ext4 fs/jbd2 fs/mbcache.ko fs/fuse virt net drivers/net drivers/block drivers/virtio drivers/char drivers/vhost'.split()
EARLY = 'virtio_pci virtio_blk erofs overlay'.split()


def sh(*argv, **kw):
    p = subprocess.run([str(a) for a in argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, **kw)
    if p.returncode:
        raise RuntimeError(f'{argv[0]}: {p.stderr[-1000:]}')
    return p.stdout


def newc(entries):
    """A cpio archive of (name, mode, content); a device node is (name, mode, (major, minor))."""
    out = b''
    for i, (name, mode, data) in enumerate([*entries, ('TRAILER!!!', 0, b'')], 1):
        dev, data = (data, b'') if isinstance(data, tuple) else ((0, 0), data)
        fields = (i, mode, 0, 0, 1, 0, len(data), 0, 0, *dev, len(name) + 1, 0)
        out += b'070701' + b''.join(b'%08X' % f for f in fields) + name.encode() + b'\0'
        out += b'\0' * (-len(out) % 4) + data
        out += b'\0' * (-len(out) % 4)
    return out


def libraries(program):
    """What its dynamic linker would load, itself included."""
    p = subprocess.run(['ldd', program], capture_output=True, text=True)
    return re.findall(r'(/\S+) \(0x', p.stdout) if p.returncode == 0 else []


def put(tree, source, target=None):
    to = tree / str(target or source).lstrip('/')
    to.parent.mkdir(parents=True, exist_ok=True)
    if not to.exists():
        shutil.copy2(os.path.realpath(source), to)


class Kernel:
    """Debian's cloud kernel, unpacked, with the order of its modules."""

    def __init__(self, folder, deb):
        sh('dpkg-deb', '-x', deb, folder)
        self.folder = folder
        self.vmlinuz = next(folder.glob('boot/vmlinuz-*'))
        self.version = self.vmlinuz.name.split('-', 1)[1]
        self.modules = folder / 'lib/modules' / self.version
        sh('busybox', 'depmod', '-b', folder, self.version)
        self.deps = {}
        for line in (self.modules / 'modules.dep').read_text().splitlines():
            name, needs = line.split(':')
            self.deps[pathlib.Path(name).stem.replace('-', '_')] = [name, *needs.split()]

    def files(self, names):
        """Files of modules, what they need first."""
        out = []
        for name in names:
            for f in reversed(self.deps[name]):
                out += [f] if f not in out else []
        return [self.modules / f for f in out]


def initramfs(kernel):
    """Mounts the root and goes on there."""
    files = kernel.files(EARLY)
    init = '#!/bin/sh\nmount -t devtmpfs dev /dev\n' + ''.join(f'insmod /{f.name}\n' for f in files) + \
           'mount -t erofs -o ro /dev/vda /root && exec switch_root /root /sbin/rig\n'
    links = [(f'bin/{n}', 0o120777, b'busybox') for n in ('sh', 'mount', 'insmod', 'switch_root')]
    return newc([*((d, 0o40755, b'') for d in ('dev', 'root', 'bin')), ('dev/console', 0o20600, (5, 1)),
                 ('bin/busybox', 0o100755, pathlib.Path('/bin/busybox').read_bytes()), *links,
                 ('init', 0o100755, init.encode()), *((f.name, 0o100644, f.read_bytes()) for f in files)])


def make_tree(tree, kernel, build, image, script):
    for d in 'dev proc sys run tmp root etc var/lib/hostel var/tmp bin sbin usr/bin usr/sbin mnt'.split():
        (tree / d).mkdir(parents=True)
    for name in OURS:
        put(tree, build / name, f'/usr/libexec/hostel/{name}')
    for path in OTHERS:
        put(tree, path)
    for path in {l for p in [*(build / n for n in OURS), *OTHERS] for l in libraries(p)}:
        put(tree, path)
    for path in FIRMWARE:
        put(tree, path)
    for name in sh('busybox', '--list').split():
        link = tree / 'bin' / name
        if not (tree / 'usr/bin' / name).exists() and not link.exists():
            link.symlink_to('/bin/busybox')
    shutil.rmtree(tree / 'sbin/mke2fs', ignore_errors=True)
    put(tree, image, '/images/busybox.tar')
    put(tree, kernel.vmlinuz, '/boot/vmlinuz')
    to = tree / 'lib/modules' / kernel.version
    for d in MODULE_DIRS:
        source = kernel.modules / 'kernel' / d
        if source.exists():
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, made(to / 'kernel' / d))
    for f in kernel.modules.glob('modules.*'):
        shutil.copy2(f, to)
    (tree / 'etc/passwd').write_text('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n')
    (tree / 'etc/group').write_text('root:x:0:\nnogroup:x:65534:\n')
    (tree / 'etc/resolv.conf').write_text('')
    (tree / 'etc/hosts').write_text('127.0.0.1 localhost\n')
    for name in ('rig', script):
        shutil.copy(TOP / 'tests/rig' / name, tree / 'sbin' / name)
        (tree / 'sbin' / name).chmod(0o755)


def made(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def tests_of(script):
    """Names of its tests, in order."""
    return re.findall(r'^t_(\w+)\(\)', (TOP / 'tests/rig' / script).read_text(), re.M)


def boot(script, build, deb, image, timeout, memory=1536, show=False):
    """Run a script of tests/rig in a machine: {test: '' when it passed, or what it said}, whole console."""
    with tempfile.TemporaryDirectory(prefix='hostel-rig.') as folder:
        folder = pathlib.Path(folder)
        kernel = Kernel(folder / 'kernel', deb)
        make_tree(folder / 'tree', kernel, build, image, script)
        sh('mkfs.erofs', '-x-1', folder / 'root.erofs', folder / 'tree')
        shutil.rmtree(folder / 'tree')
        (folder / 'initrd').write_bytes(initramfs(kernel))
        (folder / 'disk').touch()
        os.truncate(folder / 'disk', 4 << 30)
        argv = ['qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', memory,
                '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio', '-kernel', kernel.vmlinuz,
                '-initrd', folder / 'initrd', '-append', f'console=ttyS0 quiet panic=-1 no_timer_check cgroup_no_v1=all rig={script}',
                '-drive', f'file={folder}/root.erofs,format=raw,if=virtio,readonly=on',
                '-drive', f'file={folder}/disk,format=raw,if=virtio,cache=unsafe']
        text = console([str(a) for a in argv], timeout, show)
    found = re.findall(r'^rig: (ok|failed) (\w+)((?:\nrig> .*)*)', text, re.M)
    return {name: '' if verdict == 'ok' else said.replace('\nrig> ', '\n') or 'failed' for verdict, name, said in found}, text


def console(argv, timeout, show):
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        out = bytearray()
        import threading
        timer = threading.Timer(timeout, p.kill)
        timer.start()
        for line in p.stdout:
            out += line
            if show:
                sys.stdout.write(line.decode(errors='replace'))
                sys.stdout.flush()
        timer.cancel()
    finally:
        p.kill()
        p.wait()
    return out.decode(errors='replace').replace('\r', '')


if __name__ == '__main__':
    # riglib.py BUILD SCRIPT KERNEL.deb BUSYBOX.tar: by hand, with the console shown
    results, _ = boot(sys.argv[2], pathlib.Path(sys.argv[1]).resolve(), sys.argv[3], pathlib.Path(sys.argv[4]), 1500, show=True)
    bad = [n for n in tests_of(sys.argv[2]) if results.get(n, 'no result')]
    print(f'{len(results) - len(bad)} passed, {len(bad)} failed: {" ".join(bad)}')
    sys.exit(bool(bad))
