#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast hostel simulate is, and what a job costs: cpu seconds (user + system) and peak memory, reading included.

simulate.py BUILD [--jobs 1000000] [--rounds 3] [--large 10000000] [--trace KTH-SP2.swf.gz]
simulate.py BUILD --peer 'NAME=COMMAND' [--peer …]

The trace is KTH-SP2 repeated, each copy shifted by the span of the one before. The large one is 10,000 nodes: each
of its lines stands there a hundred times. Growth is that of cost per job with the length of the queue: N jobs at
once on one cpu. The time is the program's own cpu time, so that other programs disturb it less; the least of the rounds
counts, elapsed time is told beside it. With --peer only the trace itself, once, by hostel's fcfs and easy and by each
command of another simulator that is here already ("{trace}" in it is the trace as plain text)."""
import argparse, gzip, os, pathlib, resource, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = pathlib.Path(os.environ.get('HOSTEL_SHARED', ROOT.parent / 'shared'))


def rows_of(path):
    with gzip.open(path, 'rt') as f:
        return [line.split() for line in f if not line.startswith(';')]


def repeat(rows, n, out, each=1):
    """@n jobs: the trace again and again, every line @each times; the machine has 100 * @each processors."""
    span, k, copy = int(rows[-1][1]) - int(rows[0][1]), 0, 0
    with open(out, 'w') as f:
        f.write(f'; MaxProcs: {100 * each}\n')
        while k < n:
            for r in rows:
                rest = ' '.join(r[2:])
                submit = int(r[1]) + copy * span
                for _ in range(min(each, n - k)):
                    k += 1
                    f.write(f'{k} {submit} {rest}\n')
            copy += 1
    return out


def measure(build, trace, *args):
    """(cpu seconds, elapsed seconds, peak KiB) of one run."""
    begin = time.perf_counter()
    p = subprocess.Popen([str(build / 'hostel'), 'simulate', str(trace), *map(str, args), '--format', 'csv'],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    err = p.stderr.read()
    _, status, use = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        raise RuntimeError(err.decode())
    return use.ru_utime + use.ru_stime, time.perf_counter() - begin, use.ru_maxrss


def peers(build, trace, jobs, commands):
    print('\n| simulator | cpu s | elapsed s | jobs per cpu s |\n|---|---|---|---|')
    hostel = [f'hostel {p}={build / "hostel"} simulate {{trace}} --policy {p}' for p in ('fcfs', 'easy')]
    for command in hostel + commands:
        name, _, line = command.partition('=')
        begin = time.perf_counter()
        p = subprocess.Popen(line.replace('{trace}', str(trace)), shell=True, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, use = os.wait4(p.pid, 0)
        cpu = use.ru_utime + use.ru_stime
        print(f'| {name} | {cpu:.2f} | {time.perf_counter() - begin:.2f} | {jobs / cpu:,.0f} |' if not status else
              f'| {name} | failed: {status} | | |', flush=True)


def row(name, build, trace, jobs, rounds, *args):
    got = [measure(build, trace, *args) for _ in range(rounds)]
    cpu, elapsed, kib = (min(x[i] for x in got) for i in range(3))
    print(f'| {name} | {cpu:.2f} | {elapsed:.2f} | {jobs / cpu / 1e6:.2f} | {kib * 1024 / jobs:.0f} |', flush=True)


def head(title):
    print(f'\n{title}\n\n| policy | cpu s | elapsed s | M jobs per cpu s | peak bytes per job |\n|---|---|---|---|---|')


def growth(build, tmp, rounds):
    print('\nCost per job, N jobs waiting at once on one cpu\n\n| policy | N | cpu us per job |\n|---|---|---|')
    for policy in ('fcfs', 'sjf', 'easy', 'easy-sjf'):
        for n in (1000, 10000, 100000):
            path = tmp / f'queue{n}.swf'
            if not path.exists():
                path.write_text('; MaxProcs: 2\n' + ''.join(
                    f'{i} 0 -1 {1 + i * 7919 % 1009} {1 + i % 2} -1 -1 {1 + i % 2} {1 + i * 7919 % 1009} -1 1 1 -1 -1 0 -1 -1 -1\n'
                    for i in range(1, n + 1)))
            cpu = min(measure(build, path, '--policy', policy)[0] for _ in range(rounds))
            print(f'| {policy} | {n} | {cpu / n * 1e6:.2f} |', flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('--jobs', type=int, default=1000000)
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--large', type=int, default=10000000, help='0: leave it out')
    p.add_argument('--trace', type=pathlib.Path, default=SHARED / 'traces/KTH-SP2.swf.gz')
    p.add_argument('--peer', action='append', metavar='NAME=COMMAND')
    a = p.parse_args()
    if not a.trace.exists():
        sys.exit(f'no trace {a.trace}')
    rows = rows_of(a.trace)
    with tempfile.TemporaryDirectory(prefix='hostel-bench-sim.') as tmp:
        tmp = pathlib.Path(tmp)
        if a.peer:
            peers(a.build, repeat(rows, len(rows), tmp / 'once.swf'), len(rows), a.peer)
            return
        trace = repeat(rows, a.jobs, tmp / 'kth.swf')
        head(f'KTH-SP2 repeated, {a.jobs} jobs')
        for policy in ('fcfs', 'sjf', 'easy'):
            row(policy, a.build, trace, a.jobs, a.rounds, '--policy', policy)
        trace.unlink()
        growth(a.build, tmp, a.rounds)
        if a.large:
            trace = repeat(rows, a.large, tmp / 'large.swf', each=100)
            head(f'{a.large} jobs on 10,000 nodes')
            for policy in ('fcfs', 'easy'):
                row(policy, a.build, trace, a.large, 1, '--policy', policy)


if __name__ == '__main__':
    main()
