# SPDX-License-Identifier: Apache-2.0
"""Containers checkpointed and brought back by CRIU, through hostel-shim; the test plays the daemon (shimlib)."""
import glob, itertools, json, os, pathlib, re, shutil, signal, socket, subprocess, time

import pytest

from shimlib import *

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not SHIM.exists() or not (BUILD / 'tests/tools/ctr_driver').exists(),
                                reason='needs root, hostel-shim and ctr_driver')

PARENT = f'/hostel-criutest-{os.getpid()}'
PYTHON = '/usr/bin/python3'
numbers = itertools.count(1)


def cgroups(path):
    return glob.glob(f'/sys/fs/cgroup/*{path}') + glob.glob(f'/sys/fs/cgroup{path}')


def host_programs(script):
    """Spec of a container that has the host's programs: Python among them."""
    return {'Entrypoint': [PYTHON, '-c', script],
            'Mounts': [{'Type': 'bind', 'Source': p, 'Target': p, 'ReadOnly': True} for p in ('/usr', '/lib', '/lib64', '/bin')]}


class Instance:
    """An instance's folder and its shims, one after the other."""

    def __init__(self, base, root, args, options=(), spec=None, edit=None):
        self.ident = f'{os.getpid():032x}{next(numbers):032x}'
        self.base, self.options = base, [*options]
        self.cgroup = f'{PARENT}/{self.ident}'
        self.plan = container_plan(base, self.ident, root, self.cgroup, ['sh', '-c', args] if isinstance(args, str) else args, spec)
        if edit:
            edit(self.plan)
        self.shim = None

    def run(self, streams=STDOUT | STDERR, restore=None):
        more = ['--restore', str(restore)] if restore else []
        self.shim = Shim(self.base, self.plan, [*self.options, *more], ident=self.ident, kind='container', binary=SHIM)
        self.shim.connect()
        self.client = self.shim.attach(streams)
        self.shim.request(START)
        m = None
        while not m or m.type not in (STARTED, FAILED):
            m = self.shim.receive()
        assert m.type == STARTED, m.text
        self.pid = m.pid
        return self.client

    def kill(self, code=137):
        """As after a checkpoint: SIGKILL, and all of it is gone."""
        self.shim.signal(signal.SIGKILL)
        m = self.shim.wait(EXITED)
        assert m.code == code
        self.shim.bye()
        assert self.shim.ended() == 0
        assert not cgroups(self.cgroup)

    def clean(self):
        if self.shim:
            self.shim.kill()
        subprocess.run([str(SHIM), '--undo', '--kind', 'container', '--state-dir', str(self.base / 'state')], check=True)
        assert not cgroups(self.cgroup)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    yield busybox_root(tmp_path_factory.mktemp('root'))
    for path in cgroups(PARENT):
        os.rmdir(path)


@pytest.fixture
def instance(root, tmp_path):
    made = []

    def make(args, *options, **more):
        made.append(Instance(tmp_path / str(len(made)), root, args, options, **more))
        return made[-1]

    yield make
    for i in made:
        i.clean()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / 'checkpoint'
    path.mkdir()
    return path


COUNT = 'i=0; while :; do i=$((i+1)); echo n$i; sleep 0.1; done'


def numbers_of(text):
    return [int(n) for n in re.findall(rb'n(\d+)\n', text)]


def logged(i):
    return numbers_of(b''.join(e['log'].encode() for e in i.shim.log_entries()))


def test_a_counting_process_goes_on_at_its_number(instance, folder):
    i = instance(COUNT)
    i.run().read_until(b'n3\n')
    said = json.loads(i.shim.checkpoint(folder))
    assert said['frozen_ns'] > 0 and said['bytes'] > 10000
    i.kill()
    before = logged(i)
    client = i.run(restore=folder)
    client.read_until(b'n%d\n' % (before[-1] + 3))
    i.kill()
    after = logged(i)
    assert after == list(range(1, len(after) + 1)), 'a number is missing, or there twice'


def test_it_stands_still_until_it_is_let_go(instance, folder):
    i = instance(COUNT)
    i.run().read_until(b'n3\n')
    i.shim.checkpoint(folder)
    with pytest.raises(ShimError, match='written already'):
        i.shim.checkpoint(folder)
    time.sleep(0.2)
    there = len(logged(i))
    time.sleep(0.5)
    assert len(logged(i)) == there
    i.shim.resume()
    i.client.read_until(b'n%d\n' % (there + 3))
    i.kill()
    assert logged(i) == list(range(1, len(logged(i)) + 1))


def test_a_copy_elsewhere_has_its_own_names_and_mounts(instance, folder, tmp_path, root):
    for n in 'ab':
        (tmp_path / f'volume-{n}').mkdir()
        (tmp_path / f'volume-{n}/who').write_text(n)

    def make(n):
        return instance('exec 5>/data/seen; while read line; do echo "$line $(hostname) $(cat /data/who)"; echo x >&5; done', '--stdin',
                        spec={'Hostname': f'host-{n}', 'Mounts': [
                            {'Type': 'bind', 'Source': str(tmp_path / f'volume-{n}'), 'Target': '/data'}]})

    a = make('a')
    client = a.run(STDIN | STDOUT | STDERR)
    client.send(b'one\n')
    client.read_until(b'one host-a a\n')
    a.shim.checkpoint(folder)
    shutil.copy(tmp_path / 'volume-a/seen', tmp_path / 'volume-b/seen')
    a.shim.resume()
    client.send(b'two\n')
    client.read_until(b'two host-a a\n')
    b = make('b')
    shutil.copytree(a.base / 'state/rw/upper', b.base / 'state/rw/upper', dirs_exist_ok=True)
    client = b.run(STDIN | STDOUT | STDERR, restore=folder)
    client.send(b'three\n')
    client.read_until(b'three host-b b\n')
    assert cgroups(b.cgroup) and str(b.pid) in pathlib.Path(cgroups(b.cgroup)[0], 'cgroup.procs').read_text().split()
    for name in ('memory', 'pids', 'cpu'):
        assert f'{name}:{b.cgroup}' in pathlib.Path(f'/proc/{b.pid}/cgroup').read_text()
    a.kill()
    b.kill()


def test_input_that_was_not_read_yet_is_read_afterwards(instance, folder):
    i = instance('echo up; sleep 3; while read line; do echo "got $line"; done; echo end', '--stdin', '--stdin-once')
    client = i.run(STDIN | STDOUT | STDERR)
    client.read_until(b'up\n')
    client.send(b'one\ntwo\n')
    client.end()
    time.sleep(0.5)
    i.shim.checkpoint(folder)
    assert (folder / 'stdin').read_bytes() == b'one\ntwo\n'
    i.kill()
    client = i.run(restore=folder)
    client.read_until(b'got one\ngot two\nend\n')
    assert i.shim.wait(EXITED).code == 0
    i.shim.bye()


def test_a_terminal(instance, folder):
    i = instance('stty -echo; while read line; do echo "<$line $(tty)>"; done', '--tty', '--stdin', spec={'Tty': True, 'OpenStdin': True})
    client = i.run(STDIN | STDOUT | RAW)
    client.send(b'one\n')
    client.read_until(b'<one /dev/pts/0>\r\n')
    i.shim.checkpoint(folder)
    i.kill()
    client = i.run(STDIN | STDOUT | RAW, restore=folder)
    i.shim.resize(33, 99)
    client.send(b'two\n')
    client.read_until(b'<two /dev/pts/0>\r\n')
    i.kill()


def test_exec_signal_freeze_and_exit_code_as_after_a_fresh_start(instance, folder):
    i = instance('trap "exit 7" TERM; echo up; while :; do sleep 0.1; done', '--tty', spec={'Tty': True})
    i.run(STDOUT | RAW).read_until(b'up')
    i.shim.checkpoint(folder)
    i.kill()
    i.run(STDOUT | RAW, restore=folder)
    c = i.shim.exec('e1', {'args': ['sh', '-c', 'echo $$; cat /proc/1/cmdline'], 'cwd': '/', 'env': ['PATH=/bin']})
    assert b'trap' in c.read_all()[1]
    assert i.shim.wait(EXEC_EXITED).code == 0
    i.shim.freeze(1)
    assert 'frozen 1' in pathlib.Path(f'/sys/fs/cgroup/unified{i.cgroup}/cgroup.events').read_text()
    i.shim.freeze(0)
    i.shim.signal(signal.SIGTERM)
    assert i.shim.wait(EXITED).code == 7
    i.shim.bye()
    assert i.shim.ended() == 0 and not cgroups(i.cgroup)


MEMORY = '''
import hashlib, os, sys, time
size = 32 << 20
data = bytearray(os.urandom(1 << 20) * 32)
shared = os.open('/dev/shm/part', os.O_RDWR | os.O_CREAT)
os.write(shared, b'kept')
gone = open('/tmp/gone', 'w+')
gone.write('deleted ')
gone.flush()
os.unlink('/tmp/gone')
at = os.open('/etc/words', os.O_RDONLY)
first = os.read(at, 4)
want = hashlib.sha256(data).hexdigest()
print('up', flush=True)
for line in sys.stdin:
    gone.write(line)
    gone.flush()
    gone.seek(0)
    print('same' if hashlib.sha256(data).hexdigest() == want else 'changed', first, os.read(at, 4), repr(gone.read()), open('/dev/shm/part').read(),
          flush=True)
'''


def test_memory_and_files_are_as_they_were(instance, folder):
    i = instance('true', '--stdin', spec=host_programs(MEMORY))
    (i.base / 'state/rw/upper/etc').mkdir()
    (i.base / 'state/rw/upper/etc/words').write_text('one two three')
    client = i.run(STDIN | STDOUT | STDERR)
    client.read_until(b'up\n')
    said = json.loads(i.shim.checkpoint(folder))
    assert said['bytes'] > 32 << 20
    i.kill()
    client = i.run(STDIN | STDOUT | STDERR, restore=folder)
    client.send(b'more\n')
    client.read_until(b"same b'one ' b'two ' 'deleted more\\n' kept\n")
    i.kill()


FUSE = '''
import os, time
fd = os.open('/dev/fuse', os.O_RDWR)
print('up', flush=True)
for n in range(10 ** 6):
    print('n%d' % n, flush=True)
    time.sleep(0.1)
'''


def test_what_cannot_be_written_is_named_and_it_runs_on(instance, folder):
    spec = {**host_programs(FUSE), 'Devices': [{'Host': '/dev/fuse', 'Inside': '/dev/fuse', 'Permissions': 'rwm'}]}
    if not os.path.exists('/dev/fuse'):
        pytest.fail('this host has no /dev/fuse')
    i = instance('true', spec=spec)
    client = i.run()
    client.read_until(b'up\n')
    with pytest.raises(ShimError, match='/dev/fuse'):
        i.shim.checkpoint(folder)
    assert not (folder / 'container.json').exists()
    there = logged(i)[-1]
    client.read_until(b'n%d\n' % (there + 3))
    i.kill()


def test_an_exec_is_waited_for_then_named(instance, folder):
    i = instance(COUNT)
    i.run().read_until(b'n1\n')
    i.shim.exec('short', {'args': ['sleep', '1'], 'cwd': '/', 'env': ['PATH=/bin']})
    i.shim.wait(EXEC_STARTED)
    i.shim.checkpoint(folder)
    i.shim.resume()
    i.shim.exec('longexec', {'args': ['sleep', '100'], 'cwd': '/', 'env': ['PATH=/bin']})
    i.shim.wait(EXEC_STARTED)
    with pytest.raises(ShimError, match=r'exec longexec \(sleep\) runs in it'):
        i.shim.checkpoint(folder)
    i.client.read_until(b'n%d\n' % (logged(i)[-1] + 2))
    i.kill()


def test_frozen_by_its_user_it_stays_so(instance, folder):
    i = instance(COUNT)
    i.run().read_until(b'n2\n')
    i.shim.freeze(1)
    i.shim.checkpoint(folder)
    i.shim.resume()
    there = len(logged(i))
    time.sleep(0.4)
    assert len(logged(i)) == there
    i.shim.freeze(0)
    i.client.read_until(b'n%d\n' % (there + 2))
    i.kill()


# ---- a network ----

SERVER = '''
import socket
s = socket.create_server(('0.0.0.0', 7777))
print('up', flush=True)
c, _ = s.accept()
n = 0
while data := c.recv(100):
    n += 1
    c.sendall(b'%d:' % n + data)
'''


@pytest.fixture
def bridge():
    name, net = f'hc{os.getpid()}', f'10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}'
    subprocess.run(['ip', 'link', 'add', name, 'type', 'bridge'], check=True)
    subprocess.run(['ip', 'addr', 'add', f'{net}.1/24', 'dev', name], check=True)
    subprocess.run(['ip', 'link', 'set', name, 'up'], check=True)
    yield name, net
    subprocess.run(['ip', 'link', 'del', name], check=True)


def join(bridge, last):
    name, net = bridge

    def edit(plan):
        plan['host']['net'] = {'mode': 'bridge', 'bridge': name, 'ifname': 'eth0', 'host_ifname': f'hy{os.getpid()}', 'mtu': 1500,
                               'mac': f'02:42:0a:00:01:{last:02x}', 'address': f'{net}.{last}/24', 'gateway': f'{net}.1'}
    return edit


def test_an_open_connection_goes_on(instance, folder, bridge):
    i = instance('true', spec={**host_programs(SERVER), 'NetworkMode': 'bridge'}, edit=join(bridge, 5))
    i.run().read_until(b'up\n')
    s = socket.create_connection((f'{bridge[1]}.5', 7777), timeout=60)
    s.sendall(b'one')
    assert s.recv(100) == b'1:one'
    i.shim.checkpoint(folder)
    s.sendall(b'two')  # nobody hears it now, and it is sent again
    time.sleep(0.3)
    i.kill()
    i.run(restore=folder)
    assert s.recv(100) == b'2:two'
    s.sendall(b'three')
    assert s.recv(100) == b'3:three'
    s.close()
    assert i.shim.wait(EXITED).code == 0
    i.shim.bye()


def test_a_connection_goes_on_where_it_was_when_it_is_let_go(instance, folder, bridge):
    i = instance('true', spec={**host_programs(SERVER), 'NetworkMode': 'bridge'}, edit=join(bridge, 6))
    i.run().read_until(b'up\n')
    s = socket.create_connection((f'{bridge[1]}.6', 7777), timeout=60)
    i.shim.checkpoint(folder)
    s.sendall(b'one')
    i.shim.resume()
    assert s.recv(100) == b'1:one'
    s.close()
    i.shim.wait(EXITED)
    i.shim.bye()


# ---- when something is killed ----

def descendants(pid):
    found = []
    for child in pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


def criu_below(pid):
    def is_criu(p):
        try:
            return pathlib.Path(f'/proc/{p}/cmdline').read_bytes().startswith(b'criu\0')
        except OSError:
            return False

    try:
        return next((p for p in descendants(pid) if is_criu(p)), None)
    except OSError:
        return None


def host_state():
    """What CRIU or an instance of these tests has mounted or filtered; others do what they like meanwhile."""
    tables = subprocess.run(['nft', 'list', 'tables'], capture_output=True, text=True).stdout
    return ({l.split(' - ')[0].split()[4] for l in open('/proc/self/mountinfo') if 'criu' in l.lower()},
            [t for t in tables.splitlines() if 'CRIU' in t])


def kill_criu(shim):
    found = []
    end = time.monotonic() + 20
    while not found and time.monotonic() < end:
        pid = criu_below(shim.proc.pid)
        if pid:
            os.kill(pid, signal.SIGKILL)
            found.append(pid)
    assert found, 'criu was never seen'
    return found[0]


def test_a_killed_criu_leaves_nothing_and_it_runs_on(instance, folder):
    i = instance('true', spec=host_programs(MEMORY.replace("print('up'", "import itertools\nprint('up'").split('for line')[0]
                                            + 'for n in itertools.count(1):\n    print("n%d" % n, flush=True)\n    time.sleep(0.1)\n'))
    (i.base / 'state/rw/upper/etc').mkdir()
    (i.base / 'state/rw/upper/etc/words').write_text('one two three')
    i.run().read_until(b'n2\n')
    before = host_state()
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    seq = i.shim.send(CHECKPOINT, fds=[fd])
    os.close(fd)
    kill_criu(i.shim)
    m = i.shim.wait(REPLY, lambda m: m.seq == seq)
    assert m.kind >= 0 and m.text
    assert host_state() == before
    i.client.read_until(b'n%d\n' % (logged(i)[-1] + 3))
    i.kill()


def test_a_criu_killed_in_a_restore_leaves_nothing(instance, folder):
    i = instance(COUNT)
    i.run().read_until(b'n2\n')
    i.shim.checkpoint(folder)
    i.kill()
    before = host_state()
    i.shim = Shim(i.base, i.plan, ['--restore', str(folder)], ident=i.ident, kind='container', binary=SHIM)
    i.shim.connect()
    i.shim.request(START)
    pid = kill_criu(i.shim)
    failed = i.shim.wait(FAILED)
    assert failed.text
    assert not os.path.exists(f'/proc/{pid}') and not cgroups(i.cgroup)
    assert host_state() == before
    i.shim.bye()
    assert i.shim.ended() == 0
    i.run(restore=folder).read_until(b'n')  # and the checkpoint is as good as before
    i.kill()


def refusal(i, folder, seconds=60):
    """Why it cannot be restored, and nothing of the try is left."""
    i.shim = Shim(i.base, i.plan, ['--restore', str(folder)], ident=i.ident, kind='container', binary=SHIM)
    i.shim.connect()
    i.shim.sock.settimeout(seconds)
    i.shim.request(START)
    text = i.shim.wait(FAILED).text
    i.shim.bye()
    i.shim.ended()
    assert not cgroups(i.cgroup)
    return text


def test_a_killed_shim_takes_criu_along(instance, folder):
    """On the way in and on the way out; the undo (see clean()) leaves nothing."""
    i = instance(COUNT)
    i.run().read_until(b'n2\n')
    i.shim.checkpoint(folder)
    i.shim.resume()
    before, again = host_state(), i.base / 'again'
    again.mkdir()
    fd = os.open(again, os.O_RDONLY | os.O_DIRECTORY)
    i.shim.send(CHECKPOINT, fds=[fd])
    os.close(fd)
    eventually(lambda: criu_below(i.shim.proc.pid), 20)
    criu = criu_below(i.shim.proc.pid)
    i.clean()
    eventually(lambda: not criu or not os.path.exists(f'/proc/{criu}'), 20)
    i.shim = Shim(i.base, i.plan, ['--restore', str(folder)], ident=i.ident, kind='container', binary=SHIM)
    i.shim.connect()
    i.shim.request(START)
    eventually(lambda: criu_below(i.shim.proc.pid), 20)
    criu = criu_below(i.shim.proc.pid)
    i.clean()
    eventually(lambda: not criu or not os.path.exists(f'/proc/{criu}'), 20)
    assert host_state() == before


def test_a_missing_criu_is_said_and_it_runs_on(instance, folder):
    i = instance(COUNT, edit=lambda plan: plan['host'].update(criu='/nowhere/criu'))
    i.run().read_until(b'n2\n')
    with pytest.raises(ShimError, match='/nowhere/criu is not there: checkpoints need criu 4.2'):
        i.shim.checkpoint(folder)
    i.client.read_until(b'n%d\n' % (logged(i)[-1] + 2))
    i.kill()


def test_a_damaged_checkpoint_is_refused(instance, folder):
    i = instance(COUNT)
    i.run().read_until(b'n2\n')
    i.shim.checkpoint(folder)
    i.kill()
    (folder / 'core-1.img').write_bytes(b'')
    assert refusal(i, folder)
    (folder / 'container.json').unlink()
    assert 'is not whole' in refusal(i, folder)
    shutil.rmtree(folder)
    assert 'is not there' in refusal(i, folder)


@pytest.mark.slow
def test_a_criu_that_hangs_is_ended(instance, folder):
    """Without the pages CRIU waits for them for ever."""
    i = instance(COUNT)
    i.run().read_until(b'n2\n')
    i.shim.checkpoint(folder)
    i.kill()
    before = host_state()
    (folder / 'pages-1.img').write_bytes(b'')
    assert 'was not done in 120 s' in refusal(i, folder, 200)
    assert host_state() == before
