#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a long history costs: `hostel accounting` over many records in the store of a hosteld, cpu and elapsed seconds of
both, and the longest that hosteld kept another client waiting meanwhile; and the replay of an event log of as many. As root.

accounting.py BUILD [--records 1000000]"""
import argparse, json, os, pathlib, sqlite3, subprocess, sys, tempfile, threading, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEC = 10 ** 9


def records(n):
    """One each 30 s, ending now, that waited up to a minute and ran up to an hour."""
    first = time.time_ns() - n * 30 * SEC
    for i in range(n):
        arrival = first + i * 30 * SEC
        wait, run = i * 7919 % 60 * SEC, (1 + i * 104729 % 3600) * SEC
        turnaround = wait + run
        yield (f'{i:064x}', json.dumps({
            'id': f'{i:064x}', 'name': f'job-{i}', 'kind': 'container', 'image': 'busybox:latest', 'uid': 0,
            'arrival_ns': arrival, 'admission_ns': arrival + wait, 'start_ns': arrival + wait,
            'finish_ns': min(arrival + turnaround, time.time_ns()), 'paused_ns': 0, 'sliced_ns': 0, 'cpu_milli': 1000,
            'memory_bytes': 1 << 28, 'T_ns': run, 'waiting_ns': wait, 'turnaround_ns': turnaround,
            'slowdown': turnaround / run, 'bounded_slowdown': max(1.0, turnaround / max(run, 10 * SEC))}))


def fill(path, n):
    db = sqlite3.connect(path)
    with db:
        db.executemany('INSERT INTO accounts(instance, doc) VALUES(?, ?)', records(n))
    db.close()


def cpu_of(pid):
    f = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf('SC_CLK_TCK')


class Pings(threading.Thread):
    """Another client, who asks every 20 ms."""

    def __init__(self, host):
        super().__init__()
        self.host, self.longest, self.is_over = host, 0, False

    def run(self):
        while not self.is_over:
            begin = time.perf_counter()
            self.host.api('GET', '/_ping')
            self.longest = max(self.longest, time.perf_counter() - begin)
            time.sleep(0.02)


def measure(host, *args):
    pings, before, begin = Pings(host), cpu_of(host.process.pid), time.perf_counter()
    pings.start()
    p = subprocess.Popen([str(host.cli), 'accounting', *args], env=host.env, stdout=subprocess.DEVNULL)
    _, status, use = os.wait4(p.pid, 0)
    elapsed = time.perf_counter() - begin
    pings.is_over = True
    pings.join()
    if status:
        raise RuntimeError(f'hostel accounting {args}: {status}')
    print(f'| `hostel accounting {" ".join(args)}` | {cpu_of(host.process.pid) - before:.1f} | '
          f'{use.ru_utime + use.ru_stime:.1f} | {elapsed:.1f} | {pings.longest * 1e3:.0f} | {use.ru_maxrss / 1024:.0f} |',
          flush=True)


def event_log(build, n):
    """Starts at once under easy, ten at a time, as hosteld would have written it; replayed under another policy."""
    with tempfile.NamedTemporaryFile('w', prefix='hostel-bench-log.') as f:
        f.write('hostel-events 1 0\n0 T 100000 8589934592 0 0 0\n0 P fcfs/easy\n')
        for i in range(1, n + 1):
            f.write(f'{SEC} A {i} 1000 0 10000 - - - - 0\n0 D {i}\n0 S {i}\n' + (f'0 E {i - 10} 0\n' if i > 10 else ''))
        f.flush()
        begin = time.perf_counter()
        p = subprocess.Popen([str(build / 'hostel'), 'simulate', '--from-log', f.name, '--policy', 'sjf'],
                             stdout=subprocess.DEVNULL)
        _, status, use = os.wait4(p.pid, 0)
        if status:
            raise RuntimeError(f'hostel simulate --from-log: {status}')
        print(f'| `hostel simulate --from-log … --policy sjf` | | {use.ru_utime + use.ru_stime:.1f} | '
              f'{time.perf_counter() - begin:.1f} | | {use.ru_maxrss / 1024:.0f} |', flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('--records', type=int, default=1000000)
    a = p.parse_args()
    os.environ['HOSTEL_BUILD'] = str(a.build.resolve())
    sys.path.insert(0, str(ROOT / 'tests'))
    import conftest
    host = conftest.Hosteld()
    try:
        host.start()
        host.stop()
        begin = time.perf_counter()
        fill(host.root / 'hostel.db', a.records)
        print(f'{a.records} records in {(host.root / "hostel.db").stat().st_size >> 20} MiB, written by this script in '
              f'{time.perf_counter() - begin:.1f} s')
        begin = time.perf_counter()
        host.start()
        print(f'hosteld answers {time.perf_counter() - begin:.2f} s after its start\n')
        print('| command | cpu s of hosteld | cpu s of hostel | elapsed s | longest ping ms | peak MB of hostel |\n|---|---|---|---|---|---|')
        measure(host, '--by', 'day')
        measure(host, '--format', 'csv')
        measure(host, '--since', '1h')
        event_log(a.build, a.records)
    finally:
        host.teardown()


if __name__ == '__main__':
    main()
