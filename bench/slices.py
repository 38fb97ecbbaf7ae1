#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Time slicing on real instances: what it costs, how evenly turns are given, how soon the important one has the cpus.

slices.py BUILD [--only cost,turns,priority] [--pairs N] [--seconds S] [--starts N]

Moments of freezing are seen from outside, by poll() on the cgroups' own event files. Steal is the hypervisor's, busy is what
programs other than the instances used: both take from what is measured.
"""
import argparse, json, mmap, multiprocessing, os, pathlib, select, statistics, struct, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from run import table
from setup import TOP, Setup, sh

CGROUP = pathlib.Path('/sys/fs/cgroup')
QUANTUM_S = 0.1


def host_ticks():
    """(all, steal, used) of the host's cpus since it booted, in seconds."""
    t = [int(x) / os.sysconf('SC_CLK_TCK') for x in pathlib.Path('/proc/stat').read_text().split('\n')[0].split()[1:9]]
    return sum(t), t[7], sum(t) - t[3] - t[4] - t[7]


class Weather:
    """What else went on: steal, and cpu time of others, in percent of the host."""

    def __init__(self):
        self.begin = host_ticks()

    def text(self, ours_s=0):
        total, steal, used = (b - a for a, b in zip(self.begin, host_ticks()))
        return f'steal {100 * steal / total:.1f} %, others {max(0, 100 * (used - ours_s) / total):.0f} %, load {os.getloadavg()[0]:.1f}'


class Instances:
    def __init__(self, setup):
        self.setup, self.ids = setup, {}

    def run(self, name, *args):
        self.ids[name] = self.setup.hostel('run', '-d', '--name', name, *args).strip()

    def path(self, controller, name, file):
        parent = self.parent = getattr(self, 'parent', None) or self.find()
        for top in (CGROUP / controller, CGROUP):
            if (top / parent / self.ids[name] / file).exists():
                return top / parent / self.ids[name] / file
        raise FileNotFoundError(file)

    def find(self):
        plan = self.setup.plan(next(iter(self.ids)))
        return str(pathlib.Path(plan['host']['cgroup']).parent).lstrip('/')

    def cpu_s(self, name):
        try:
            return int(self.path('cpuacct', name, 'cpuacct.usage').read_text()) / 1e9
        except FileNotFoundError:
            return int(self.path('unified', name, 'cpu.stat').read_text().split()[1]) / 1e6

    def remove(self):
        self.setup.hostel('rm', '-f', *self.ids)
        self.ids.clear()


def policy(setup, schedule):
    setup.hostel('policy', 'set', '--schedule', schedule, '--quantum', f'{int(QUANTUM_S * 1000)}ms')


# ---- moments, in a process of their own ----

def watch(paths, pipe):
    """Sends [(wall clock ns, n, is frozen)] when something comes down the pipe."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # its own delays are none of theirs
    except OSError:
        pass
    poll, files, seen = select.poll(), {}, []
    for n, path in enumerate(paths):
        fd = os.open(path, os.O_RDONLY)
        files[fd] = n
        os.read(fd, 256)
        poll.register(fd, select.POLLPRI)
    poll.register(pipe.fileno(), select.POLLIN)
    pipe.send('ready')
    while True:
        for fd, _ in poll.poll():
            if fd == pipe.fileno():
                pipe.recv()
                pipe.send(seen)
                return
            now = time.time_ns()
            text = os.pread(fd, 256, 0)
            seen.append((now, files[fd], b'frozen 1' in text))


class Watch:
    def __init__(self, paths):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=watch, args=([str(p) for p in paths], theirs), daemon=True)
        self.process.start()
        self.pipe.recv()

    def end(self):
        self.pipe.send('end')
        seen = self.pipe.recv()
        self.process.join()
        return seen


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, max(0, -(-len(values) * p // 100) - 1))]


# ---- what slicing costs ----

def cost(setup, pairs, seconds):
    """Work done by four busy containers on two cpus, under rr and under fair, in turn."""
    i = Instances(setup)
    spin, counts = setup.work / 'spin', setup.work / 'counts'
    sh('gcc', '-O2', '-static', '-o', spin, TOP / 'bench/spin.c')
    counts.write_bytes(bytes(4096))
    for n in range(4):
        i.run(f'work{n}', '--cpus', '1', '-v', f'{setup.work}:/w', 'busybox', '/w/spin', '/w/counts', n)
    weather, rates = Weather(), {'rr': [], 'fair': []}
    with open(counts, 'r+b') as f, mmap.mmap(f.fileno(), 4096) as page:
        work = lambda: sum(struct.unpack_from('Q', page, n * 64)[0] for n in range(4))
        for k in range(pairs):
            for which in ('rr', 'fair') if k % 2 else ('fair', 'rr'):
                policy(setup, which)
                time.sleep(0.5)
                begin, t = work(), time.monotonic()
                time.sleep(seconds)
                rates[which].append((work() - begin) / (time.monotonic() - t))
    costs = [100 * (1 - a / b) for a, b in zip(rates['rr'], rates['fair'])]
    used = sum(i.cpu_s(n) for n in i.ids)
    i.remove()
    print(f'\nFour busy containers on two cpus, {pairs} pairs of {seconds} s ({weather.text(used)}):\n')
    print(table(('', 'median', 'range', 'wanted'),
          [('work under rr, blocks a second', f'{statistics.median(rates["rr"]):.0f}', f'{min(rates["rr"]):.0f} to {max(rates["rr"]):.0f}', ''),
           ('work under fair', f'{statistics.median(rates["fair"]):.0f}', f'{min(rates["fair"]):.0f} to {max(rates["fair"]):.0f}', ''),
           ('less work under rr, % (of each pair)', f'{statistics.median(costs):.2f}', f'{min(costs):.2f} to {max(costs):.2f}', 'below 1')]))


# ---- turns ----

def turns(setup, seconds):
    """Eight busy instances of one cpu on two cpus: shares, and how long each waits for its turn."""
    i = Instances(setup)
    busy = ('busybox', 'sh', '-c', 'while :; do :; done')
    policy(setup, 'fair')
    for n in range(4):
        i.run(f'vm{n}', '--vm', '-m', '128m', '--cpus', '1', *busy)
    for n in range(4):
        i.run(f'container{n}', '--cpus', '1', *busy)
    policy(setup, 'rr')
    time.sleep(2)
    names = list(i.ids)
    w, weather = Watch([i.path('unified', n, 'cgroup.events') for n in names]), Weather()
    begin = {n: i.cpu_s(n) for n in names}
    time.sleep(seconds)
    used = {n: i.cpu_s(n) - begin[n] for n in names}
    said, seen, total = weather.text(sum(used.values())), w.end(), sum(used.values())
    waits, since = [], {}
    for at, n, is_frozen in seen:
        if is_frozen:
            since.setdefault(n, at)
        elif n in since:
            waits.append((at - since.pop(n)) / 1e6)
    i.remove()
    turn = (len(names) / 2 - 1) * QUANTUM_S * 1000
    within = 100 * sum(x <= turn * 1.1 for x in waits) / len(waits)
    print(f'\nFour containers and four VMs (TCG), one cpu each, on two cpus, rr with {QUANTUM_S * 1000:.0f} ms, {seconds} s ({said}):\n')
    print(table(('instance', '% of what the eight got', 'wanted'),
          [(n, f'{100 * used[n] / total:.2f}', '11.5 to 13.5') for n in names]))
    print(f'They got {total / seconds:.2f} cpus. {len(waits)} waits of {turn:.0f} ms: median {statistics.median(waits):.1f}, p99 {percentile(waits, 99):.1f}, '
          f'longest {max(waits):.1f} ms; {within:.2f} % within the turn and a tenth (wanted: 99).')


# ---- priority ----

def priority(setup, starts):
    """An important one begins to run: until the lesser is frozen."""
    i = Instances(setup)
    policy(setup, 'priority')
    i.run('low', '--cpus', '2', 'busybox', 'sh', '-c', '(while :; do :; done) & while :; do :; done')
    time.sleep(1)
    w, weather, begun = Watch([i.path('unified', 'low', 'cgroup.events')]), Weather(), []
    for n in range(starts):
        name = f'high{n}'
        setup.hostel('run', '-d', '--name', name, '--cpus', '2', '--priority', '5', '--network', 'none', 'busybox', 'sleep', '0.1')
        setup.hostel('wait', name)
        begun.append(json.loads(setup.hostel('inspect', name))[0]['State']['StartedAt'])
        setup.hostel('rm', name)
        time.sleep(0.05)
    used, seen = i.cpu_s('low'), w.end()
    i.remove()
    frozen = [at for at, _, is_frozen in seen if is_frozen]
    delays = []
    for text in begun:
        at = ns_of(text)
        after = [f for f in frozen if f >= at - 1_000_000]
        if after:
            delays.append((after[0] - at) / 1e6)
    print(f'\nAn important container becomes ready, the lesser one with both cpus is frozen, {len(delays)} of {starts} times ({weather.text(used)}):\n')
    print(table(('ms', 'median', 'p99', 'longest', 'wanted'),
          [('from its process’ start', f'{statistics.median(delays):.2f}', f'{percentile(delays, 99):.2f}', f'{max(delays):.2f}', 'median at most 5')]))


def ns_of(text):
    whole, part = text.rstrip('Z').split('.')
    return int(time.mktime(time.strptime(whole, '%Y-%m-%dT%H:%M:%S')) - time.timezone) * 10**9 + int(part.ljust(9, '0'))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('build')
    p.add_argument('--only', default='cost,turns,priority')
    p.add_argument('--pairs', type=int, default=10)
    p.add_argument('--seconds', type=int, default=60)
    p.add_argument('--starts', type=int, default=100)
    a = p.parse_args()
    parts = a.only.split(',')
    setup = Setup(a.build, '--overcommit-cpu', '4', '--memory-total', '4g', '--reserve-memory', '64m', '--manage-memory', '1g',
                  name='hostel-slices', kernel='turns' in parts)
    try:
        if 'cost' in parts:
            cost(setup, a.pairs, 4)
        if 'turns' in parts:
            turns(setup, a.seconds)
        if 'priority' in parts:
            priority(setup, a.starts)
    finally:
        setup.close()


if __name__ == '__main__':
    main()
