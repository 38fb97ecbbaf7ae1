#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What one decision pass costs with many in the queue, for every ORDER/FILL: median of passes after an arrival and after
an end, the longest beside it, in us (bench/passes.c says what the load is).

passes.py BUILD [--queued 10000] [--resources 6] [--steps 200] [--orders sjf,…] [--fills easy,…]"""
import argparse, pathlib, subprocess, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
ORDERS = 'fcfs,sjf,saf,laf,rr,priority,wfp3,f1,drf,edf,hrrn'
FILLS = 'strict,list,easy,easy-sjf,conservative'


def compile_it(build, exe):
    subprocess.run(['gcc', '-O2', '-std=gnu17', '-D_GNU_SOURCE', f'-I{ROOT}/src', '-o', exe, ROOT / 'bench/passes.c',
                    build / 'src/sched/libsched.a', build / 'src/util/libutil.a'], check=True)


def one(exe, policy, queued, resources, steps):
    out = subprocess.run([exe, policy, str(queued), str(resources), str(steps)], capture_output=True, text=True, check=True)
    w = out.stdout.split()
    return {'arrival': tuple(map(float, w[1:4])), 'end': tuple(map(float, w[5:8]))}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('--queued', type=int, default=10000)
    p.add_argument('--resources', type=int, default=6)
    p.add_argument('--steps', type=int, default=200)
    p.add_argument('--orders', default=ORDERS)
    p.add_argument('--fills', default=FILLS)
    a = p.parse_args()
    fills = a.fills.split(',')
    with tempfile.TemporaryDirectory(prefix='hostel-bench-passes.') as tmp:
        exe = f'{tmp}/passes'
        compile_it(a.build, exe)
        print(f'{a.queued} queued, {a.resources} resources: us of a pass after an arrival / after an end (longest)\n')
        print('| order | ' + ' | '.join(fills) + ' |\n' + '|---' * (len(fills) + 1) + '|')
        for order in a.orders.split(','):
            cells = []
            for fill in fills:
                r = one(exe, f'{order}/{fill}', a.queued, a.resources, a.steps)
                cells.append(f'{r["arrival"][0]:.0f} / {r["end"][0]:.0f} ({max(r["arrival"][2], r["end"][2]):.0f})')
            print(f'| {order} | ' + ' | '.join(cells) + ' |', flush=True)


if __name__ == '__main__':
    main()
