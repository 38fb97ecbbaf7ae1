#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hostel simulate against queueing theory: the mean of many seeds, each printed.

theory.py BUILD [--jobs 2000000] [--seeds 20] [--only SUBSTRING]

Poisson arrivals, service times exponential with mean 1 s. Every run begins empty and is counted from its first job."""
import argparse, json, pathlib, subprocess, sys

# name: (load, arguments, [(quantity, what theory says)]); a number: mean wait of that priority
QUEUES = {
    'M/M/1 FCFS': ('rate=0.8', ['--nodes', 1, '--policy', 'fcfs'], [('wait_s', 4)]),
    'M/M/1 SJF': ('rate=0.8', ['--nodes', 1, '--policy', 'sjf'], [('wait_s', 1.882)]),
    'M/M/1 SRPT': ('rate=0.8', ['--nodes', 1, '--schedule', 'srtf'], [('turnaround_s', 2.353)]),
    'M/M/1 RR 200 ms': ('rate=0.8', ['--nodes', 1, '--schedule', 'rr', '--quantum', '200ms'], [('turnaround_s', 5)]),
    'M/M/1 PS': ('rate=0.8', ['--nodes', 1, '--schedule', 'fair'], [('turnaround_s', 5)]),
    'M/M/1 priorities': ('rate=0.8,classes=2', ['--nodes', 1, '--policy', 'priority'], [(1, 4 / 3), (0, 20 / 3)]),
    'M/M/1 preemptive': ('rate=0.8,classes=2', ['--nodes', 1, '--schedule', 'priority'], [(1, 2 / 3), (0, 22 / 3)]),
    'M/M/8 FCFS': ('rate=7.2', ['--nodes', 8, '--policy', 'fcfs'], [('wait_s', 0.877)]),
}


def words(what):
    return {'wait_s': 'W', 'turnaround_s': 'T'}.get(what) or f'W of the {("less", "more")[what]} important half'


def run(hostel, load, jobs, seed, args):
    p = subprocess.run([str(hostel), 'simulate', f'poisson:{load},jobs={jobs}', '--seed', str(seed), *map(str, args),
                        '--format', 'json'], capture_output=True, text=True, timeout=600)
    if p.returncode:
        raise RuntimeError(p.stderr)
    return json.loads(p.stdout)[0]


def value(doc, what):
    return doc[what]['mean'] if isinstance(what, str) else doc['priorities'][what]['wait_s']


def means(hostel, name, jobs, seeds):
    """[(quantity, each seed's, mean, its standard error, theory)] of one queue."""
    load, args, wants = QUEUES[name]
    docs = [run(hostel, load, jobs, s, args) for s in seeds]
    out = []
    for what, want in wants:
        got = [value(d, what) for d in docs]
        mean = sum(got) / len(got)
        error = (sum((x - mean) ** 2 for x in got) / (len(got) - 1) / len(got)) ** 0.5
        out.append((what, got, mean, error, want))
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('--jobs', type=int, default=2000000)
    p.add_argument('--seeds', type=int, default=20)
    p.add_argument('--only', default='')
    a = p.parse_args()
    seeds = range(1, a.seeds + 1)
    print(f'Seeds {seeds[0]} to {seeds[-1]}, {a.jobs} jobs each\n')
    print('| queue | | theory | mean ± standard error | off by | each seed |\n|---|---|---|---|---|---|')
    worst = 0
    for name in QUEUES:
        if a.only not in name:
            continue
        for what, got, mean, error, want in means(a.build / 'hostel', name, a.jobs, seeds):
            off = mean / want - 1
            worst = max(worst, abs(off))
            print(f'| {name} | {words(what)} | {want:.4g} | {mean:.4f} ± {error:.4f} | {100 * off:+.2f} % | '
                  f'{" ".join(f"{x:.3f}" for x in got)} |', flush=True)
    sys.exit(worst > 0.02)


if __name__ == '__main__':
    main()
