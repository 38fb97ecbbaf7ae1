#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A VM's state to a folder and back: hostel-shim's CHECKPOINT, RESUME and --restore against a plain QEMU with the same command line,
stopped and migrated to a file, and started with -incoming.  The same guest in both: it fills memory, then sits or rewrites some of it.
In turn, medians with range; then copies restored side by side from one folder.

vm_snapshot.py BUILD [rounds] [MiB filled] [MB/s dirtied]
"""
import array, json, os, pathlib, shutil, socket, statistics, subprocess, sys, tempfile, time

TOP = pathlib.Path(__file__).resolve().parent.parent
os.environ['HOSTEL_BUILD'] = sys.argv[1]
sys.path.insert(0, str(TOP / 'tests'))
import conftest
conftest.find_kernel()
import shimlib, vmlib

MEMORY = 256  # MiB
COPIES = 7
GUEST = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#define FILL (%dul << 20)
#define RATE (%dul * 1000000)
int main(void)
{
	unsigned long *m = malloc(FILL), at = 0;
	for (unsigned long i = 0; i < FILL / 8; i++)
		m[i] = i * 0x9e3779b97f4a7c15u;
	printf("READY\n");
	fflush(stdout);
	for (;;) {
		usleep(10000);
		for (unsigned long n = 0; n < RATE / 100; n += 4096, at = (at + 4096) %% FILL)
			m[at / 8]++;
	}
}
"""


def ms(values):
    v = [x * 1000 for x in values]
    return f'{statistics.median(v):.0f} ({min(v):.0f} to {max(v):.0f})'


class Plain:
    """A QEMU of its own on a command line; speaks QMP."""

    def __init__(self, argv, incoming=None):
        ours, theirs = socket.socketpair()
        argv = [a.replace('fd=3', f'fd={theirs.fileno()}') if a.startswith('socket,id=qmp') else
                'null,id=console' if a.startswith('socket,id=console') else a for a in argv]
        fds = [theirs.fileno()]
        if incoming:
            fds.append(os.open(incoming, os.O_RDONLY))
            argv = [*argv, '-S', '-incoming', 'defer']
        self.proc = subprocess.Popen(argv, pass_fds=fds)
        theirs.close()
        self.sock, self.lines = ours, ours.makefile('r')
        self.lines.readline()
        self.ask('qmp_capabilities')
        if incoming:
            self.ask('migrate-incoming', uri=f'fd:{fds[1]}')
            self.migrated()
            self.ask('cont')
            os.close(fds[1])

    def ask(self, name, fds=(), **args):
        text = json.dumps({'execute': name, **({'arguments': args} if args else {})}).encode() + b'\n'
        self.sock.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else [])
        while True:
            answer = json.loads(self.lines.readline())
            if 'error' in answer:
                raise RuntimeError(answer)
            if 'return' in answer:
                return answer['return']

    def migrated(self):
        while (status := self.ask('query-migrate').get('status')) != 'completed':
            assert status != 'failed'
            time.sleep(0.001)

    def save(self, path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self.ask('stop')
        self.ask('getfd', [fd], fdname='state')
        os.close(fd)
        self.ask('migrate-set-parameters', **{'max-bandwidth': 1 << 50})
        self.ask('migrate', uri='fd:state')
        self.migrated()
        self.ask('cont')

    def end(self):
        self.proc.kill()
        self.proc.wait()


class Ours(shimlib.Shim):
    count = 0

    def __init__(self, base, kernel, initrd, restore=None):
        Ours.count += 1
        ident = f'{os.getpid():08x}{Ours.count:04x}' + '0' * 52
        self.cgroup = f'/hostel-bench-{os.getpid()}/{Ours.count}'
        (base / 'state').mkdir(parents=True, exist_ok=True)
        plan = vmlib.make_plan(base / 'state', ident, self.cgroup, kernel, None, kind='machine',
                               vm={'initrd': str(initrd), 'agent': False, 'append': 'console=ttyS0 quiet panic=-1 no_timer_check',
                                   'memory_bytes': MEMORY << 20})
        super().__init__(base, plan, ['--log', 'none', *(['--restore', str(restore)] if restore else [])], ident, 'machine',
                         shimlib.SHIM)
        self.connect()
        self.sock.settimeout(120)

    def end(self):
        self.signal(9)
        self.wait(shimlib.EXITED)
        self.bye()
        self.ended()


def timed(fn, *args):
    begin = time.monotonic()
    result = fn(*args)
    return time.monotonic() - begin, result


def plain_argv(pid):
    return pathlib.Path(f'/proc/{pid}/cmdline').read_text().split('\0')[:-1]


def files_of(argv, pid):
    """The same command line for another process: files by their names."""
    return [os.readlink(f'/proc/{pid}/fd/{a.rsplit("/", 1)[1]}') if a.startswith('/proc/self/fd/') else a for a in argv]


def pss(pid):
    rows = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().split('\n')
    return next(int(r.split()[1]) for r in rows if r.startswith('Pss:')) / 1024


def main():
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    fill, rate = (int(sys.argv[i]) if len(sys.argv) > i else d for i, d in ((3, 64), (4, 0)))
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        kernel = vmlib.make_kernel(d)[0]
        (d / 'init.c').write_text(GUEST % (fill, rate))
        subprocess.run(['gcc', '-static', '-O2', '-o', d / 'init', d / 'init.c'], check=True)
        initrd = d / 'initrd'
        initrd.write_bytes(subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet'], input=b'init\n', cwd=d, capture_output=True,
                                          check=True).stdout)
        ours = Ours(d / 'ours', kernel, initrd)
        client = ours.attach(shimlib.STDOUT)
        client.sock.settimeout(120)
        pid = ours.start().pid
        client.read_until(b'READY')
        plain = Plain(files_of(plain_argv(pid), pid))
        time.sleep(10)  # it has filled its memory by then too
        state, stream = d / 'state', d / 'stream'
        rows = {k: [] for k in ('ours save', 'plain save', 'ours restore', 'plain restore')}

        def save_ours():
            shutil.rmtree(state, ignore_errors=True)
            state.mkdir()
            took, _ = timed(lambda: (ours.checkpoint(state), ours.resume()))
            rows['ours save'].append(took)

        def restore_ours():
            took, v = timed(lambda: (lambda v: (v.start(), v)[1])(Ours(d / f'copy{Ours.count}', kernel, initrd, state)))
            rows['ours restore'].append(took)
            v.end()

        def save_plain():
            rows['plain save'].append(timed(plain.save, stream)[0])

        def restore_plain():
            took, v = timed(Plain, files_of(plain_argv(pid), pid), stream)
            rows['plain restore'].append(took)
            v.end()
        for n in range(rounds):
            for fn in (save_ours, save_plain, restore_ours, restore_plain)[::1 if n % 2 else -1] if n else \
                    (save_ours, save_plain, restore_ours, restore_plain):
                fn()
        plain.end()
        print(f'guest of {MEMORY} MiB with {fill} MiB filled, {rate} MB/s dirtied; {rounds} pairs; load {os.getloadavg()[0]:.1f}; ms')
        for k, v in rows.items():
            print(f'{k:14} {ms(v)}')
        for what in 'save', 'restore':
            ratio = sorted(a / b for a, b in zip(rows[f'ours {what}'], rows[f'plain {what}']))
            print(f'{what}: {statistics.median(ratio):.2f} of plain QEMU ({ratio[0]:.2f} to {ratio[-1]:.2f})')
        size = lambda p: p.stat().st_blocks * 512 / 1e6
        print(f'written: ours {sum(size(p) for p in state.iterdir()):.1f} MB ({", ".join(f"{p.name} {size(p):.1f}" for p in sorted(state.iterdir()))}), '
              f'plain {size(stream):.1f}')
        begin = time.monotonic()
        copies = [Ours(d / f'fork{n}', kernel, initrd, state) for n in range(COPIES)]
        for c in copies:
            c.request(shimlib.START)
        pids = [c.wait(shimlib.STARTED).pid for c in copies]
        took = time.monotonic() - begin
        time.sleep(1)
        each = [pss(p) for p in pids]
        print(f'{COPIES} copies at once: {took * 1000:.0f} ms until all run; PSS {min(each):.0f} to {max(each):.0f} MiB each; '
              f'the original {pss(pid):.0f}')
        for c in copies:
            c.end()
        ours.end()
    for p in pathlib.Path('/sys/fs/cgroup').glob(f'*/hostel-bench-{os.getpid()}'):
        p.rmdir()


if __name__ == '__main__':
    main()
