# SPDX-License-Identifier: Apache-2.0
"""hostel-shim with real containers; the test plays the daemon (shimlib), the plan is made by ctr_driver."""
import glob, itertools, os, pathlib, signal, subprocess, time

import pytest

from shimlib import *

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not SHIM.exists() or not (BUILD / 'tests/tools/ctr_driver').exists(),
                                reason='needs root, hostel-shim and ctr_driver')

PARENT = f'/hostel-shimtest-{os.getpid()}'
numbers = itertools.count(1)


def cgroups(path):
    return glob.glob(f'/sys/fs/cgroup/*{path}') + glob.glob(f'/sys/fs/cgroup{path}')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    yield busybox_root(tmp_path_factory.mktemp('root'))
    for path in cgroups(PARENT):
        os.rmdir(path)


@pytest.fixture
def container(root, tmp_path):
    made = []

    def make(script, *options, spec=None):
        ident = f'{os.getpid():032x}{next(numbers):032x}'
        base = tmp_path / str(len(made))
        cgroup = f'{PARENT}/{ident}'
        plan = container_plan(base, ident, root, cgroup, ['sh', '-c', script] if isinstance(script, str) else script, spec)
        s = Shim(base, plan, options, ident=ident, kind='container', binary=SHIM)
        s.cgroup = cgroup
        made.append(s)
        return s

    yield make
    for s in made:
        s.kill()
        subprocess.run([str(SHIM), '--undo', '--kind', 'container', '--state-dir', str(s.state)], check=True)
        assert not cgroups(s.cgroup)


def run(s, streams=STDOUT | STDERR, **more):
    s.connect()
    c = s.attach(streams, **more)
    s.pid = s.start().pid
    return c


def finish(s, code=0):
    m = s.wait(EXITED)
    assert (m.code, s.exit_record()['code']) == (code, code)
    assert not cgroups(s.cgroup)
    s.bye()
    assert s.ended() == 0
    return m


def test_streams_logs_and_exit_code(container):
    s = container('echo out; echo err >&2; cat; exit 3', '--stdin', '--stdin-once')
    c = run(s, STDIN | STDOUT | STDERR)
    c.send(b'in\n')
    c.end()
    assert c.read_all() == {1: b'out\nin\n', 2: b'err\n'}
    finish(s, 3)
    assert s.logs('--raw', '--stdout') == b'out\nin\n'


def test_a_terminal(container):
    s = container('stty size; tty; read x; stty size; echo "got $x"', '--tty', '--stdin', spec={'Tty': True})
    s.connect()
    s.resize(40, 100)
    c = s.attach(STDIN | STDOUT | RAW, keys=b'\x10\x11')
    s.start()
    assert c.read_until(b'40 100\r\n')
    s.resize(50, 120)
    c.send(b'x\r')
    assert c.read_until(b'50 120\r\ngot x\r\n')
    finish(s)


def test_killing_init_is_137_without_a_note(container):
    s = container('sleep 100 & sleep 100')
    run(s)
    os.kill(s.pid, signal.SIGKILL)
    begin = time.monotonic()
    assert finish(s, 137).text == ''
    assert time.monotonic() - begin < 50


def test_processes_left_behind_end_with_init_though_they_hold_its_output(container):
    s = container('(trap "" TERM HUP; sleep 100) & echo x')
    c = run(s)
    begin = time.monotonic()
    assert c.read_all()[1] == b'x\n'
    finish(s)
    assert time.monotonic() - begin < 50


def test_out_of_memory_is_told_from_other_deaths(container):
    s = container(['sh', '-c', 'x=0123456789abcdef; while true; do x=$x$x; done'],
                  spec={'Memory': 16 << 20, 'MemoryBytes': 16 << 20})
    run(s)
    m = s.wait(EXITED)
    if not m.oom and m.code != 137:
        pytest.skip(f'no memory limit here ({m.code})')
    assert m.oom and m.code == 137 and '16 MiB' in m.text and '--memory' in m.text
    assert s.exit_record()['oom'] is True
    s.bye()
    s.ended()


def test_a_frozen_one_stands_still_and_stays_so_without_a_daemon(container):
    s = container('i=0; while true; do i=$((i+1)); echo $i; sleep 0.02; done')
    c = run(s, STDOUT | RAW)
    c.read_until(b'5\n')
    s.freeze(1)
    s.disconnect()
    time.sleep(0.3)
    c.sock.setblocking(False)
    try:
        c.sock.recv(65536)
    except BlockingIOError:
        pass
    time.sleep(0.2)
    with pytest.raises(BlockingIOError):
        c.sock.recv(65536)
    assert s.connect().is_frozen == 1
    s.freeze(0)
    c.sock.settimeout(10)
    assert c.sock.recv(100)
    s.signal(9)
    finish(s, 137)


def test_exec_runs_inside_and_ends_with_the_container(container):
    s = container('sleep 100')
    run(s)
    c = s.exec('e1', {'args': ['sh', '-c', 'cat; hostname; exit 4'], 'cwd': '/', 'env': ['PATH=/bin']}, STDIN | STDOUT)
    c.send(b'hello ')
    c.end()
    assert c.read_all()[1].startswith(b'hello ')
    assert s.wait(EXEC_EXITED).code == 4
    c = s.exec('e2', {'args': ['nothing'], 'cwd': '/', 'env': ['PATH=/bin']})
    assert 'executable file not found' in s.wait(EXEC_FAILED).text
    c = s.exec('e3', {'args': ['sleep', '100'], 'cwd': '/', 'env': ['PATH=/bin']})
    s.wait(EXEC_STARTED, lambda m: m.exec_id == 'e3')
    s.signal(9)
    assert s.wait(EXEC_EXITED, lambda m: m.exec_id == 'e3').code == 137
    assert c.read_all() == {1: b'', 2: b''}
    finish(s, 137)


@pytest.mark.parametrize('args, kind', [(['/nonexistent'], 'NOT_FOUND'), (['/etc'], 'DENIED')])
def test_what_cannot_be_executed_fails_the_start_and_leaves_nothing(container, args, kind):
    s = container(args)
    s.connect()
    c = s.attach()
    s.request(START)
    m = s.wait(FAILED)
    assert KINDS[m.kind] == kind
    assert c.read_all() == {1: b'', 2: b''}
    assert not cgroups(s.cgroup)
    s.bye()
    assert s.ended() == 0
    assert not (s.state / 'exit.json').exists()


def test_a_shim_that_was_killed_is_undone_by_the_plan_alone(container):
    s = container('sleep 100')
    run(s)
    s.exec('e1', {'args': ['sleep', '100'], 'cwd': '/', 'env': ['PATH=/bin']}, client=False)
    s.wait(EXEC_STARTED)
    s.kill()
    subprocess.run([str(SHIM), '--undo', '--kind', 'container', '--state-dir', str(s.state)], check=True, timeout=50)
    assert not cgroups(s.cgroup)
    assert not s.is_locked()


def test_fifty_idle_shims_are_small(container):
    shims = [container(['sleep', '100']) for _ in range(50)]
    for s in shims:
        run(s)
    pss = [int(line.split()[1]) for s in shims
           for line in pathlib.Path(f'/proc/{s.proc.pid}/smaps_rollup').read_text().splitlines()
           if line.startswith('Pss:')]
    print(f'mean PSS of a shim: {sum(pss) / 50:.1f} KB')
    assert sum(pss) / 50 < 150
    for s in shims:
        s.signal(9)
    for s in shims:
        finish(s, 137)
