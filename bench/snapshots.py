#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots as a user takes them, from the command to its end through a hosteld: of a container and of a VM with 256 MB of memory filled
and 64 MB on their disk.  In turn, medians with range; what a stateful one kept still is the backend's word.

snapshots.py BUILD [rounds] [copies]
"""
import json, pathlib, statistics, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from setup import Setup, sh

FILL = r'''
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void)
{
	unsigned long n = (256ul << 20) / 8, *m = malloc(n * 8);
	for (unsigned long i = 0; i < n; i++)
		m[i] = i * 0x9e3779b97f4a7c15u;
	puts("READY");
	fflush(stdout);
	for (;;)
		sleep(1);
}
'''


def ms(values):
    return f'{statistics.median(values) * 1000:.0f} ({min(values) * 1000:.0f} to {max(values) * 1000:.0f})'


class Bench:
    def __init__(self, setup, kind, options, copies):
        self.setup, self.kind, self.copies, self.times = setup, kind, copies, {}
        self.made = {}
        setup.hostel('create', '--name', 'it', *options, 'busybox', '/fill')
        setup.hostel('cp', setup.work / 'fill', 'it:/fill')
        setup.hostel('start', 'it')
        while 'READY' not in setup.hostel('logs', 'it'):
            time.sleep(0.1)
        setup.hostel('exec', 'it', 'sh', '-c', 'dd if=/dev/urandom of=/data bs=1M count=64 2>/dev/null; sync')

    def clock(self, what, *words):
        begin = time.perf_counter()
        out = self.setup.hostel(*words)
        self.times.setdefault(what, []).append(time.perf_counter() - begin)
        return out

    def round(self):
        run = self.setup.hostel
        for what, more in (('snapshot', []), ('snapshot --stateful', ['--stateful'])):
            said = json.loads(self.clock(what, 'snapshot', 'create', '-q', *more, 'it', 'one', '--format', 'json'))
            self.made[what] = said['bytes']
            if more and 'frozen_ns' in said.get('state', {}):
                self.times.setdefault('of that, kept still to write the state', []).append(said['state']['frozen_ns'] / 1e9)
            self.clock('restore --as, disk only' if not more else 'restore --as, with state', 'snapshot', 'restore', '-q', 'it', 'one',
                       '--as', 'two')
            run('rm', '-f', 'two')
            run('snapshot', 'rm', 'it', 'one')
        names = self.clock(f'fork -n {self.copies}', 'fork', '-q', '-n', str(self.copies), 'it').split()
        run('rm', '-f', *names)
        self.clock('checkpoint', 'checkpoint', '-q', '--name', 'one', 'it')
        self.clock('restore', 'restore', '-q', 'it@one')
        run('snapshot', 'rm', 'it', 'one')

    def rows(self):
        for what, values in self.times.items():
            made = self.made.get(what)
            yield f'| {self.kind}: {what} | {ms(values)} | {f"{made / 1e6:.0f} MB" if made else ""} |'
        self.setup.hostel('rm', '-f', 'it')


def main():
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    copies = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    setup = Setup(sys.argv[1])
    try:
        (setup.work / 'fill.c').write_text(FILL)
        sh('gcc', '-static', '-O2', '-o', setup.work / 'fill', setup.work / 'fill.c')
        print(f'load {pathlib.Path("/proc/loadavg").read_text().split()[0]}\n\n| what | ms | bytes |\n|---|---|---|')
        for kind, options in (('container', []), ('VM', ['--vm', '-m', '400m'])):
            b = Bench(setup, kind, options, copies)
            for _ in range(rounds):
                b.round()
            print('\n'.join(b.rows()), flush=True)
    finally:
        setup.close()


main()
