#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Figures side by side in one run: medians with their spread, as Markdown.

run.py BUILD [--only NAME,...] [--rounds N] [--write docs/benchmarks.md]
"""
import argparse, os, pathlib, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peers import CONTROLLERS, Dockerd, Hostel, call, pss_kb, remove_tree

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMAGE = 'busybox:latest'


def ms(values):
    """Median and spread of seconds, as milliseconds."""
    v = sorted(values)
    return f'{statistics.median(v) * 1e3:.1f} ({v[0] * 1e3:.1f} to {v[-1] * 1e3:.1f})'


def clock(fn):
    begin = time.perf_counter()
    fn()
    return time.perf_counter() - begin


def quiet(command, env=None):
    run = subprocess.run([str(c) for c in command], env=env, stdin=subprocess.DEVNULL, capture_output=True)
    if run.returncode:
        raise RuntimeError(f'{command}: {run.returncode} {run.stderr[-500:]!r}')
    return run.stdout


def table(head, rows):
    out = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    return '\n'.join(out + ['| ' + ' | '.join(map(str, r)) + ' |' for r in rows]) + '\n'


def interleave(rounds, cases):
    """Each case once per round, so that noise meets all alike; one warm-up of each."""
    times = {name: [] for name, _ in cases}
    for name, fn in cases:
        fn()
    for _ in range(rounds):
        for name, fn in cases:
            times[name].append(clock(fn))
    return times


class Bench:
    def __init__(self, build, rounds):
        self.build, self.rounds = pathlib.Path(build).resolve(), rounds
        self.cache = pathlib.Path(os.environ.get('HOSTEL_CACHE', self.build / 'cache')).resolve()
        self.cache.mkdir(parents=True, exist_ok=True)
        self.work = pathlib.Path(tempfile.mkdtemp(prefix='hostel-bench.'))
        fetch = lambda what: quiet([ROOT / 'tools/fetch.sh', what, self.cache]).decode().split()[-1]
        self.docker28, self.dockers = fetch('docker-cli'), fetch('docker')
        self.docker20 = self.dockers + '/bin/docker'
        os.environ['BENCH_DOCKER'] = self.docker28
        quiet([ROOT / 'tools/mkimage.sh', 'busybox', self.cache / 'busybox.tar'])
        self.image = self.cache / 'busybox.tar'
        self.hostel = Hostel(self.work / 'h', self.build)
        self.dockerd = None
        self.hostel.load(self.image)

    def peer(self):
        if not self.dockerd:
            self.dockerd = Dockerd(self.work / 'd', self.dockers)
            self.dockerd.load(self.image)
        return self.dockerd

    def close(self):
        self.hostel.stop()
        if self.dockerd:
            self.dockerd.stop()
        remove_tree(self.work)

    # ---- start ----

    def api_run(self, daemon):
        """create, attach, start, wait, remove by a client that only speaks the API."""
        body = {'Image': IMAGE, 'Cmd': ['/bin/true'], 'AttachStdout': True, 'HostConfig': {'NetworkMode': 'none'}}
        path = daemon.socket
        cid = call(path, 'POST', '/v1.41/containers/create', body)['Id']
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.sendall(f'POST /v1.41/containers/{cid}/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\n'
                  'Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n'.encode())
        s.recv(4096)
        call(path, 'POST', f'/v1.41/containers/{cid}/start')
        while s.recv(4096):
            pass
        s.close()
        code = call(path, 'POST', f'/v1.41/containers/{cid}/wait')['StatusCode']
        if code:
            raise RuntimeError(f'exit code {code}')
        call(path, 'DELETE', f'/v1.41/containers/{cid}')

    def floor(self):
        parent = f'/hf{os.getpid()}'
        lower, exe = self.work / 'lower', self.work / 'floor'
        quiet(['gcc', '-O2', '-D_GNU_SOURCE', '-o', exe, ROOT / 'bench/floor.c'])
        (lower / 'bin').mkdir(parents=True, exist_ok=True)
        shutil.copy('/bin/busybox', lower / 'bin/true')
        (self.work / 'fl').mkdir(exist_ok=True)
        made = [pathlib.Path('/sys/fs/cgroup') / c / parent[1:] for c in CONTROLLERS]
        for d in made:
            d.mkdir()
            if d.parent.name == 'cpuset':
                for f in ('cpuset.cpus', 'cpuset.mems'):
                    (d / f).write_text((d.parent / f).read_text())
        try:
            out = quiet([exe, lower, self.work / 'fl', parent, self.rounds, '/bin/true'])
        finally:
            for d in made:
                d.rmdir()
        return [int(line) / 1e9 for line in out.split()]

    def start(self):
        h, d = self.hostel, self.peer()
        run = lambda cli, daemon: lambda: quiet([cli, 'run', '--rm', '--network', 'none', IMAGE, '/bin/true'], daemon.env())
        t = interleave(self.rounds, [
            ('d20', run(self.docker20, d)), ('h20', run(self.docker20, h)),
            ('d28', run(self.docker28, d)), ('h28', run(self.docker28, h)),
            ('dapi', lambda: self.api_run(d)), ('hapi', lambda: self.api_run(h)),
            ('hcli', run(self.build / 'hostel', h)),
            ('cli20', lambda: quiet([self.docker20, '--version'])), ('cli28', lambda: quiet([self.docker28, '--version'])),
        ])
        floor = self.floor()
        m = {k: statistics.median(v) for k, v in t.items()}
        ratio = lambda a, b: f'{m[a] / m[b]:.1f}×'
        rows = [
            ('docker CLI 20.10 `run --rm --network none IMAGE true`', ms(t['d20']), ms(t['h20']), ratio('d20', 'h20'), '6×'),
            ('docker CLI 28, the same', ms(t['d28']), ms(t['h28']), ratio('d28', 'h28'), '4×'),
            ('API only: create, attach, start, wait, remove', ms(t['dapi']), ms(t['hapi']), ratio('dapi', 'hapi'), '20×'),
            ('`hostel run` against `docker run` 20.10', ms(t['d20']), ms(t['hcli']), ratio('d20', 'hcli'), '20×'),
            ('`hostel run` against `docker run` 28', ms(t['d28']), ms(t['hcli']), ratio('d28', 'hcli'), '20×'),
            ('the CLI alone (`--version`) 20.10 and 28', ms(t['cli20']), ms(t['cli28']), '', ''),
            ("the kernel's floor (bench/floor.c)", '', ms(floor), '', ''),
        ]
        return '## Start\nMilliseconds, median (range).\n\n' + table(('what', 'dockerd', 'hostel', 'ratio', 'wanted'), rows)

    # ---- memory ----

    def idle(self, daemon, n):
        body = {'Image': IMAGE, 'Cmd': ['/bin/sleep', '600'], 'HostConfig': {'NetworkMode': 'none'}}
        ids = []
        for _ in range(n):
            ids.append(call(daemon.socket, 'POST', '/v1.41/containers/create', body)['Id'])
            call(daemon.socket, 'POST', f'/v1.41/containers/{ids[-1]}/start')
        return ids

    def remove(self, daemon, ids):
        for i in ids:
            call(daemon.socket, 'DELETE', f'/v1.41/containers/{i}?force=1')

    def memory(self):
        rows = []
        for daemon in (self.peer(), self.hostel):
            for _ in range(100):
                self.api_run(daemon)
            time.sleep(2)
            pss = lambda: sum(map(pss_kb, daemon.programs())) / 1024
            none = pss()
            ids = self.idle(daemon, 50)
            time.sleep(2)
            fifty = pss()
            self.remove(daemon, ids)
            rows.append((daemon.name, f'{none:.1f}', f'{(fifty - none) / 50:.3f}'))
        return ('## Memory\nPSS of all that belongs to the engine, after a hundred runs, MB.\n\n' +
                table(('engine', '0 containers (hostel: at most 8)', 'each idle container, mean of 50 (hostel: at most 0.25)'), rows))

    # ---- parallel ----

    def hundred(self, daemon):
        failed = []

        def one():
            try:
                self.api_run(daemon)
            except Exception as e:
                failed.append(str(e))
        threads = [threading.Thread(target=one, daemon=True) for _ in range(100)]
        t = clock(lambda: ([x.start() for x in threads], [x.join(300) for x in threads]))
        return t, failed + ['no end within five minutes'] * sum(x.is_alive() for x in threads)

    def parallel(self):
        daemons = (self.hostel, self.peer())
        rounds = [[self.hundred(d) for d in daemons] for _ in range(3)]  # in turn, so that noise meets both
        rows = []
        for daemon, runs in zip(daemons, zip(*rounds)):
            bad = [f for _, failed in runs for f in failed]
            v = sorted(100 / t for t, _ in runs)
            rows.append((daemon.name, f'{statistics.median(v):.1f} ({v[0]:.1f} to {v[-1]:.1f})', len(bad), bad[0][:80] if bad else ''))
        v = sorted(d[0] / h[0] for h, d in rounds)
        rows.append(('ratio of each pair', f'{statistics.median(v):.1f}× ({v[0]:.1f} to {v[-1]:.1f})', '', ''))
        return ('## A hundred containers started in parallel\nEach created, attached, started, waited for and removed; median of 3, in turn.\n\n' +
                table(('engine', 'containers a second', 'failed of 300', 'first failure'), rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build')
    parser.add_argument('--only', default='start,memory,parallel')
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--write', type=pathlib.Path)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    bench, parts = Bench(args.build, args.rounds), []
    try:
        for name in args.only.split(','):
            parts.append(getattr(bench, name)())
            print(parts[-1], flush=True)
    finally:
        bench.close()
    if args.write:
        args.write.write_text('\n'.join(parts))


if __name__ == '__main__':
    main()
