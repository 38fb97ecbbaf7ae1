#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs hosteld to say when each of many in the queue will start (hostel queue), and to ask a copy of its
scheduler (hostel fit): median and longest in ms of cpu, and of how many the start is known (bench/forecast.c says what
the load is).

forecast.py BUILD [--queued 100,1000,10000] [--unknown 0,10] [--steps 50] [--policies fcfs/easy,…]"""
import argparse, pathlib, subprocess, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
POLICIES = 'fcfs/easy,sjf/easy,fcfs/strict,fcfs/list,wfp3/easy,drf/easy,fcfs/easy-sjf,fcfs/conservative'


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('--queued', default='100,1000,10000')
    p.add_argument('--unknown', default='0,10', help='percent of jobs without an expected run time')
    p.add_argument('--steps', type=int, default=50)
    p.add_argument('--policies', default=POLICIES)
    a = p.parse_args()
    with tempfile.TemporaryDirectory(prefix='hostel-bench-forecast.') as tmp:
        exe = f'{tmp}/forecast'
        subprocess.run(['gcc', '-O2', '-std=gnu17', '-D_GNU_SOURCE', f'-I{ROOT}/src', '-o', exe, ROOT / 'bench/forecast.c',
                        a.build / 'src/sched/libsched.a', a.build / 'src/util/libutil.a'], check=True)
        print('| policy | queued | unknown, % | forecast, ms (longest) | starts known | copy and pass, ms (longest) |\n|---|---|---|---|---|---|')
        for policy in a.policies.split(','):
            for queued in a.queued.split(','):
                for unknown in a.unknown.split(','):
                    w = subprocess.run([exe, policy, queued, unknown, str(a.steps)], capture_output=True, text=True,
                                       check=True).stdout.split()
                    ms = lambda n: f'{float(w[n]) / 1e3:.2f} ({float(w[n + 1]) / 1e3:.2f})'
                    print(f'| {policy} | {queued} | {unknown} | {ms(1)} | {w[7]} | {ms(4)} |', flush=True)


if __name__ == '__main__':
    main()
