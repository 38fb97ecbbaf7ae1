#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`hostel run --rm --vm IMAGE true` against a bare QEMU command line with the same kernel, modules, image, machine type and
kernel command line: one without a network card, for --network none, and one with a card on a tap, which its guest brings up with an
address, for the bridge.  In turn, medians with spread.

vm.py BUILD [rounds] [--keep]   --keep: leave the daemon's folder (its log tells of each start)
"""
import os, pathlib, resource, signal, statistics, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from setup import TOP, Setup, sh

MEMORY = '256m'


def bare_initrd(folder, initrd):
    """The same initramfs with bench/vm_init.c for hostel-guest."""
    tree = folder / 'bare'
    tree.mkdir()
    sh('cpio', '-idmu', '--quiet', input=initrd.read_bytes(), cwd=tree)
    sh('gcc', '-static', '-O2', '-D_GNU_SOURCE', '-o', tree / 'init', TOP / 'bench/vm_init.c')
    out = folder / 'bare.img'
    out.write_bytes(sh('cpio', '-o', '-H', 'newc', '--quiet', input=sh('find', '.', cwd=tree), cwd=tree))
    return out


def bare_argv(setup, tap):
    """From a plan of the engine's: the same kernel file, command line and image.  (without a card, with one)"""
    setup.hostel('run', '-d', '--name', 'model', '--vm', '-m', MEMORY, 'busybox', 'sleep', '1000')
    host = setup.plan('model')['host']
    setup.hostel('rm', '-f', 'model')
    vm = host['vm']
    initrd = bare_initrd(setup.work, pathlib.Path(vm['initrd']))
    argv = ['qemu-system-x86_64', '-machine', 'q35,usb=off,vmport=off,smbus=off,sata=off', '-accel', vm['accel'], '-cpu',
            'max', '-smp', vm['vcpus'], '-m', f'{vm["memory_bytes"] >> 20}M', '-nodefaults', '-display', 'none', '-no-reboot',
            '-kernel', vm['kernel'], '-initrd', initrd, '-append', vm['append'], '-serial', 'file:/dev/null',
            '-device', 'virtio-serial-pci,max_ports=2', '-drive', f'file={host["rootfs"]["erofs"]},format=raw,if=virtio,readonly=on']
    return argv, [*argv, '-netdev', f'tap,id=net,ifname={tap},script=no,downscript=no', '-device', 'virtio-net-pci,netdev=net,romfile=']


def cpu_of(pid):
    """Seconds of cpu of a process and of those that it waited for: a daemon's shims, and their QEMUs."""
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf('SC_CLK_TCK')


def measured(fn, daemon):
    """(seconds, seconds of cpu): the latter tells more on a busy machine."""
    def cpu():
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        return u.ru_utime + u.ru_stime + cpu_of(daemon)
    before, begin = cpu(), time.monotonic()
    fn()
    took = time.monotonic() - begin
    time.sleep(0.2)  # what the daemon still does
    return took, cpu() - before


def spread(v, digits=2):
    return f'{statistics.median(v):.{digits}f} s ({min(v):.{digits}f} to {max(v):.{digits}f})'


def main():
    args = [a for a in sys.argv[1:] if a != '--keep']
    rounds = int(args[1]) if len(args) > 1 else 7
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tap = f'hbtap{os.getpid()}'
    # name: (title, what it is compared with)
    titles = {'bare': ('bare QEMU, no network card', 'bare'), 'none': ('hostel run --vm --network none', 'bare'),
              'bare-net': ('bare QEMU with a card', 'bare-net'), 'bridge': ('hostel run --vm', 'bare-net')}
    cases = {n: [] for n in titles}
    sh('ip', 'tuntap', 'add', tap, 'mode', 'tap')
    try:
        setup = Setup(args[0])
        try:
            sh('ip', 'link', 'set', tap, 'up')
            argv, argv_net = bare_argv(setup, tap)
            run = lambda *net: setup.hostel('run', '--rm', '--vm', '-m', MEMORY, *net, 'busybox', 'true')
            fns = {'bare': lambda: sh(*argv), 'none': lambda: run('--network', 'none'), 'bare-net': lambda: sh(*argv_net),
                   'bridge': run}
            for i in range(rounds):
                for name, fn in fns.items():
                    cases[name].append(measured(fn, setup.daemon.process.pid))
                print('  '.join(f'{n} {v[-1][0]:.2f} s (cpu {v[-1][1]:.2f})' for n, v in cases.items()), flush=True)
        finally:
            setup.close('--keep' in sys.argv)
    finally:
        sh('ip', 'link', 'del', tap)
    for i, what in enumerate(('time', 'cpu')):
        for name, (title, base) in titles.items():
            v, b = ([x[i] for x in cases[n]] for n in (name, base))
            print(f'{what}: {title} {spread(v)}; to {titles[base][0]}: medians {statistics.median(v) / statistics.median(b):.2f}, '
                  f'best {min(v) / min(b):.2f}')


if __name__ == '__main__':
    main()
