#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cpu, disk and network throughput inside a container and a VM against the bare host; in turn, medians with spread, as Markdown.

throughput.py BUILD [--rounds N] [--seconds S] [--only cpu,disk,net]

cpu and disk by bench/load.c, the same static program everywhere; network by iperf3.
"""
import argparse, contextlib, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from run import table
from setup import TOP, Setup, sh

MIB = 128
APPLETS = 'sh sleep ls cat ip mkdir'.split()


def libraries(program):
    return re.findall(r'(/\S+) \(0x', sh('ldd', program).decode())


class Throughput:
    def __init__(self, build, rounds, seconds):
        self.rounds, self.seconds = rounds, seconds
        self.setup = Setup(build, '--cpus-total', '8')
        self.work, self.hostel = self.setup.work, self.setup.hostel
        self.undo = contextlib.ExitStack()
        self.undo.callback(self.setup.close)
        try:
            self.make_image()
            self.start_instances()
            self.make_peer()
        except BaseException:
            self.undo.close()
            raise

    def make_image(self):
        self.load = self.work / 'load'
        sh('gcc', '-O2', '-D_GNU_SOURCE', '-static', '-pthread', '-o', self.load, TOP / 'bench/load.c')
        tree = self.work / 'tree'
        for d in 'bin usr/bin etc tmp dev proc sys root vol'.split():
            (tree / d).mkdir(parents=True)
        (tree / 'tmp').chmod(0o1777)
        for source in ('/bin/busybox', shutil.which('iperf3'), *libraries(shutil.which('iperf3'))):
            to = tree / source.lstrip('/')
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.realpath(source), to)
        for a in APPLETS:
            (tree / 'bin' / a).symlink_to('busybox')
        shutil.copy2(self.load, tree / 'load')
        (tree / 'etc/passwd').write_text('root:x:0:0:root:/root:/bin/sh\n')
        sh('tar', '-C', tree, '-cf', self.work / 'image.tar', '.')
        self.hostel('import', self.work / 'image.tar', 'load:latest')

    def start_instances(self):
        self.ports = {}
        self.has_volume = {'host': True, 'container': True, 'vm': True}
        for name, kind in (('container', []), ('vm', ['--vm', '-m', '768m', '--cpus', '2'])):
            self.ports[name] = free_port()
            run = ['run', '-d', '--name', name, *kind, '-p', f'{self.ports[name]}:5201']
            rest = ['load:latest', '/bin/sleep', '100000']
            try:
                self.hostel(*run, '-v', f'{name}-data:/vol', *rest)
            except RuntimeError as e:
                if 'vm' not in name or 'refused' not in str(e) and 'not' not in str(e):
                    raise
                self.has_volume[name] = False
                with contextlib.suppress(RuntimeError):
                    self.hostel('rm', '-f', name)
                self.hostel(*run, *rest)
        (self.work / 'host').mkdir()

    def inside(self, name, *args):
        return self.hostel('exec', name, *args)

    # ---- cpu and disk ----

    def run_load(self, target, *args):
        if target == 'host':
            return float(sh(self.load, *args))
        return float(self.inside(target, '/load', *args))

    def path(self, target, place):
        if target == 'host':
            return self.work / 'host/f'
        return '/f' if place == 'rootfs' else '/vol/f'

    def measure(self, cases, targets):
        """{(case, target): numbers}; all targets in turn for each case."""
        got = {}
        for i in range(self.rounds):
            for case, args in cases:
                names = targets(case)
                k = i % len(names)  # each comes first in its turn: what one wrote, the disk still digests
                for target in names[k:] + names[:k]:
                    got.setdefault((case, target), []).append(self.run_load(target, *args(target)))
        return got

    def cpu(self):
        cases = [('1 thread', lambda t: ('cpu', 1, self.seconds)), ('2 threads', lambda t: ('cpu', 2, self.seconds))]
        got = self.measure(cases, lambda case: ['host', 'container', 'vm'])
        rows = [(case, *cells(got, case)) for case, _ in cases]
        return 'Cpu: million steps of an integer generator a second (bench/load.c).\n\n' + table(HEAD, rows)

    def disk(self):
        works = [('write and fsync, MiB/s', 'write', MIB), ('read, MiB/s', 'read', MIB),
                 ('random 4 KiB reads a second', 'randread', self.seconds), ('random 4 KiB writes a second', 'randwrite', self.seconds)]
        cases = [(f'{place}: {title}', lambda t, w=what, p=place, n=n: (w, self.path(t, p), n))
                 for place in ('rootfs', 'volume') for title, what, n in works]
        targets = lambda case: [t for t in ('host', 'container', 'vm') if case.startswith('rootfs') or self.has_volume[t]]
        got = self.measure(cases, targets)
        rows = [(case, *cells(got, case)) for case, _ in cases]
        return f'Disk: a file of {MIB} MiB (bench/load.c); all but the writes with fsync past the page cache (O_DIRECT).\n\n' + table(HEAD, rows)

    # ---- network ----

    def make_peer(self):
        """A netns with a bare veth: what the kernel does without hostel, and a client from outside."""
        tag = f'hbp{os.getpid() % 100000}'
        net = f'10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}'
        self.peer, self.peer_ip, self.host_ip = tag, f'{net}.2', f'{net}.1'
        sh('ip', 'netns', 'add', tag)
        self.undo.callback(lambda: subprocess.run(['ip', 'netns', 'del', tag]))
        sh('ip', 'link', 'add', tag, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', tag)
        self.undo.callback(lambda: subprocess.run(['ip', 'link', 'del', tag], stderr=subprocess.DEVNULL))
        sh('ip', 'addr', 'add', f'{self.host_ip}/24', 'dev', tag)
        sh('ip', 'link', 'set', tag, 'up')
        self.in_peer('ip', 'addr', 'add', f'{self.peer_ip}/24', 'dev', 'eth0')
        self.in_peer('ip', 'link', 'set', 'eth0', 'up')
        self.in_peer('ip', 'route', 'add', 'default', 'via', self.host_ip)

    def in_peer(self, *args):
        return sh('ip', 'netns', 'exec', self.peer, *args)

    def server(self, address, port):
        p = subprocess.Popen(['iperf3', '-s', '-B', address, '-p', str(port)], stdout=subprocess.DEVNULL)
        self.undo.callback(lambda: (p.kill(), p.wait()))

    def client(self, run, host, port, *options):
        """Gbit/s as received; a server that still ends its last test is asked again."""
        for _ in range(20):
            text = run('iperf3', '-J', '-c', host, '-p', port, '-t', self.seconds, *options)
            end = json.loads(text).get('end', {})
            if 'sum_received' in end:
                return end['sum_received']['bits_per_second'] / 1e9
            time.sleep(0.3)
        raise RuntimeError(f'iperf3: {text[:500]}')

    def net(self):
        gateway = json.loads(self.hostel('info', '--format', 'json'))['gateway']
        port, bare = free_port(), free_port()
        self.server(gateway, port)
        self.server(self.host_ip, bare)
        self.server('127.0.0.1', loop := free_port())
        for name in ('container', 'vm'):
            self.hostel('exec', '-d', name, '/usr/bin/iperf3', '-s')
        host = lambda *a: quiet(a)
        peer = lambda *a: quiet(('ip', 'netns', 'exec', self.peer, *a))
        to = lambda name: lambda *a: quiet((self.setup.build / 'hostel', 'exec', name, '/usr/bin/' + a[0], *a[1:]), env=self.setup.daemon.env())
        cases = [('loopback of the host', lambda: self.client(host, '127.0.0.1', loop)),
                 ('bare veth, out', lambda: self.client(peer, self.host_ip, bare)),
                 ('bare veth, in', lambda: self.client(peer, self.host_ip, bare, '-R'))]
        for n in ('container', 'vm'):
            cases += [(f'{n} to host', lambda n=n: self.client(to(n), gateway, port)),
                      (f'host to {n}', lambda n=n: self.client(to(n), gateway, port, '-R')),
                      (f'to {n} by its published port', lambda n=n: self.client(peer, self.host_ip, self.ports[n])),
                      (f'from {n} by its published port', lambda n=n: self.client(peer, self.host_ip, self.ports[n], '-R')),
                      (f'to {n} by its published port on loopback', lambda n=n: self.client(host, '127.0.0.1', self.ports[n]))]
        wait_for(lambda: [fn() for _, fn in cases[-2:]])
        got = {name: [] for name, _ in cases}
        for _ in range(self.rounds):
            for name, fn in cases:
                got[name].append(fn())
        rows = [(name, spread(v)) for name, v in got.items()]
        base = statistics.median(got['bare veth, out'])
        rows = [(*r, f'{statistics.median(got[r[0]]) / base:.2f}') for r in rows]
        return ('Network: TCP by iperf3, one stream, Gbit/s as received; published ports are asked from a network namespace beside.\n\n' +
                table(('from, to', 'Gbit/s', 'of bare veth, out'), rows))


HEAD = ('what', 'bare host', 'container', 'of host', 'VM', 'of host')


def spread(v):
    digits = 0 if statistics.median(v) >= 100 else 1 if statistics.median(v) >= 10 else 2
    return f'{statistics.median(v):.{digits}f} ({min(v):.{digits}f} to {max(v):.{digits}f})'


def cells(got, case):
    base, out = statistics.median(got[case, 'host']), [spread(got[case, 'host'])]
    for t in ('container', 'vm'):
        v = got.get((case, t))
        out += [spread(v), f'{statistics.median(v) / base:.2f}'] if v else ['no -v', '']
    return out


def quiet(argv, **kw):
    """Output, whatever the exit code: iperf3 tells its errors as JSON."""
    return subprocess.run([str(a) for a in argv], capture_output=True, stdin=subprocess.DEVNULL, **kw).stdout or b'{}'


def wait_for(fn):
    for i in range(50):
        try:
            return fn()
        except RuntimeError:
            if i == 49:
                raise
            time.sleep(0.5)


def free_port():
    with socket.socket() as s:
        s.bind(('', 0))
        return s.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=2)
    parser.add_argument('--only', default='cpu,disk,net')
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    t = Throughput(args.build, args.rounds, args.seconds)
    with t.undo:
        for name in args.only.split(','):
            print(getattr(t, name)(), flush=True)


if __name__ == '__main__':
    main()
