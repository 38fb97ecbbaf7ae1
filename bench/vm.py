#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`hostel run --rm --vm IMAGE true` against a bare QEMU command line with the same kernel, modules, image, machine type and
kernel command line.  In turn, medians with spread.

vm.py BUILD [rounds] [--keep]   --keep: leave the daemon's folder (its log tells of each start)
"""
import json, os, pathlib, resource, signal, statistics, subprocess, sys, tempfile, time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / 'bench'), str(TOP / 'tests')]
from peers import Hostel, remove_tree

MEMORY = '256m'


def sh(*argv, **kw):
    p = subprocess.run([str(a) for a in argv], capture_output=True, stdin=None if 'input' in kw else subprocess.DEVNULL, **kw)
    if p.returncode:
        raise RuntimeError(f'{argv}: {p.returncode}\n{p.stderr.decode(errors="replace")[-2000:]}')
    return p.stdout


def bare_initrd(folder, initrd):
    """The same initramfs with bench/vm_init.c for hostel-guest."""
    tree = folder / 'bare'
    tree.mkdir()
    sh('cpio', '-idmu', '--quiet', input=initrd.read_bytes(), cwd=tree)
    sh('gcc', '-static', '-O2', '-D_GNU_SOURCE', '-o', tree / 'init', TOP / 'bench/vm_init.c')
    out = folder / 'bare.img'
    out.write_bytes(sh('cpio', '-o', '-H', 'newc', '--quiet', input=sh('find', '.', cwd=tree), cwd=tree))
    return out


def fetched(what, cache):
    return sh(TOP / 'tools/fetch.sh', what, cache).decode().split()[-1]


class Setup:
    """A private hosteld with a kernel and busybox."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        cache = pathlib.Path(os.environ.get('HOSTEL_CACHE', self.build / 'cache')).resolve()
        cache.mkdir(parents=True, exist_ok=True)
        self.work = pathlib.Path(tempfile.mkdtemp(prefix='hostel-bench.'))
        self.image = cache / 'busybox.tar'
        sh(TOP / 'tools/mkimage.sh', 'busybox', self.image)
        kernel = fetched('kernel', cache)
        self.daemon = Hostel(self.work / 'h', self.build)
        try:
            self.hostel('load', '-q', '-i', self.image)
            self.hostel('kernel', 'add', kernel)
        except BaseException:
            self.close()
            raise

    def hostel(self, *args):
        return sh(self.build / 'hostel', *args, env=self.daemon.env()).decode()

    def plan(self, name):
        """What the engine decided for an instance that runs."""
        ident = json.loads(self.hostel('inspect', name))[0]['Id']
        return json.loads((self.work / 'h/root/instances' / ident / 'plan.json').read_text())

    def close(self, keep=False):
        if keep:
            self.daemon.process.terminate()
            self.daemon.process.wait(20)
            print(f'kept: {self.work}')
            return
        self.daemon.stop()
        remove_tree(self.work)


def bare_argv(setup):
    """From a plan of the engine's: the same kernel file, command line and image."""
    setup.hostel('run', '-d', '--name', 'model', '--vm', '-m', MEMORY, 'busybox', 'sleep', '1000')
    host = setup.plan('model')['host']
    setup.hostel('rm', '-f', 'model')
    vm = host['vm']
    initrd = bare_initrd(setup.work, pathlib.Path(vm['initrd']))
    return ['qemu-system-x86_64', '-machine', 'q35,usb=off,vmport=off,smbus=off,sata=off', '-accel', vm['accel'], '-cpu',
            'max', '-smp', vm['vcpus'], '-m', f'{vm["memory_bytes"] >> 20}M', '-nodefaults', '-display', 'none', '-no-reboot',
            '-kernel', vm['kernel'], '-initrd', initrd, '-append', vm['append'], '-serial', 'file:/dev/null',
            '-device', 'virtio-serial-pci,max_ports=2', '-drive', f'file={host["rootfs"]["erofs"]},format=raw,if=virtio,readonly=on']


def measured(fn, *args):
    """(seconds, seconds of cpu of the whole machine): the latter tells more on a busy machine."""
    def cpu():
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        return u.ru_utime + u.ru_stime
    before, begin = cpu(), time.monotonic()
    fn(*args)
    return time.monotonic() - begin, cpu() - before


def spread(v, digits=2):
    return f'{statistics.median(v):.{digits}f} s ({min(v):.{digits}f} to {max(v):.{digits}f})'


def main():
    args = [a for a in sys.argv[1:] if a != '--keep']
    rounds = int(args[1]) if len(args) > 1 else 7
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    setup = Setup(args[0])
    cases = {'bare': [], 'bridge': [], 'none': []}
    try:
        argv = bare_argv(setup)
        run = lambda *net: setup.hostel('run', '--rm', '--vm', '-m', MEMORY, *net, 'busybox', 'true')
        fns = {'bare': lambda: sh(*argv), 'bridge': run, 'none': lambda: run('--network', 'none')}
        for i in range(rounds):
            for name, fn in fns.items():
                cases[name].append(measured(fn)[0])
            print('  '.join(f'{n} {v[-1]:.2f} s' for n, v in cases.items()), flush=True)
    finally:
        setup.close('--keep' in sys.argv)
    print(f'bare QEMU {spread(cases["bare"])}')
    for name, what in (('bridge', 'hostel run --vm'), ('none', 'hostel run --vm --network none')):
        v = cases[name]
        print(f'{what} {spread(v)}; ratio of medians {statistics.median(v) / statistics.median(cases["bare"]):.2f}, '
              f'of best {min(v) / min(cases["bare"]):.2f}')


if __name__ == '__main__':
    main()
