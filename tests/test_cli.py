# SPDX-License-Identifier: Apache-2.0
"""The command line: first against a hosteld that isolates nothing (tests/fake_hosteld.py), so that each flag, exit
code and line of text is looked at alone; then stories against the real one."""
import json, os, pathlib, pty, re, select, signal, stat, subprocess, termios, time

import pytest

from conftest import ROOT, need, run
from fake_hosteld import FakeHosteld


@pytest.fixture
def fake(tmp_path):
    f = FakeHosteld(tmp_path / 's')
    yield f
    f.close()


class Cli:
    def __init__(self, fake):
        self.exe, self.fake = need('hostel'), fake
        self.env = {**os.environ, 'HOSTEL_SOCKET': fake.path}

    def __call__(self, *args, **kw):
        kw.setdefault('timeout', 20)
        return run(self.exe, *args, env={**self.env, **kw.pop('extra_env', {})}, **kw)

    def popen(self, *args, **kw):
        kw.setdefault('stdin', subprocess.DEVNULL)
        return subprocess.Popen([str(self.exe), *args], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **kw)

    def body(self, *args):
        """The ContainerCreate body that `hostel create ARGS busybox` sends."""
        p = self('create', *args, 'busybox')
        assert p.returncode == 0, p.err
        return next(d for m, path, q, d in reversed(self.fake.asked) if path == '/containers/create')


@pytest.fixture
def cli(fake):
    return Cli(fake)


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, argv, env, rows=24, cols=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], [str(a) for a in argv], env)
        termios.tcsetwinsize(self.fd, (rows, cols))
        self.text = ''

    def until(self, what, timeout=10):
        end = time.monotonic() + timeout
        while what not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f'no {what!r} in {self.text!r}')
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                data = b''
            if not data:
                raise AssertionError(f'ended without {what!r}: {self.text!r}')
            self.text += data.decode(errors='replace')

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self, timeout=10):
        """Exit code."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while select.select([self.fd], [], [], 0)[0]:
                    try:
                        data = os.read(self.fd, 4096)
                    except OSError:
                        break
                    if not data:
                        break
                    self.text += data.decode(errors='replace')
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f'did not end: {self.text!r}')


if not hasattr(termios, 'tcsetwinsize'):      # Python < 3.11
    import fcntl, struct
    termios.tcsetwinsize = lambda fd, size: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', *size, 0, 0))


def wait_for(condition, timeout=5):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, 'it never came true'
        time.sleep(0.01)


# ---- run ----

def test_run_passes_output_of_both_streams_and_the_exit_code(cli):
    p = cli('run', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 7')
    assert (p.returncode, p.out, p.err) == (7, 'out', 'err')


def test_stdin_reaches_it_and_its_end_is_passed_on(cli):
    p = cli('run', '-i', 'busybox', 'sh', '-c', 'cat; echo end', input='one\ntwo\n')
    assert p.out == 'one\ntwo\nend'
    p = cli('run', 'busybox', 'cat', input='nobody reads this')
    assert (p.returncode, p.out) == (0, '')


def test_a_megabyte_goes_through_cat_both_ways_at_once(cli):
    data = 'x' * 99 + '\n'
    data = data * 10000
    p = cli('run', '-i', 'busybox', 'cat', input=data)
    assert p.stdout == data


@pytest.mark.parametrize('argv,code', [
    (['sh', '-c', 'kill -9 $$'], 137), (['sh', '-c', 'kill -TERM $$'], 143), (['no-such-program'], 127),
    (['/etc'], 126)])
def test_exit_codes_are_those_of_docker(cli, argv, code):
    assert cli('run', 'busybox', *argv).returncode == code


def test_an_error_is_one_line_and_125(cli, fake):
    fake.answers['POST', '/containers/create'] = (400, {'message': 'invalid something'})
    p = cli('run', 'busybox', 'true')
    assert (p.returncode, p.out, p.err) == (125, '', 'hostel: invalid something')
    p = cli('run', '--no-such-flag', 'busybox')
    assert p.returncode == 125 and p.err.startswith('hostel: unknown option --no-such-flag') and '\n' not in p.err
    p = run(cli.exe, '--socket', '/nowhere/s', 'run', 'busybox')
    assert p.returncode == 125 and 'no hosteld answers on /nowhere/s' in p.err and '\n' not in p.err


def test_rm_waits_for_the_removal(cli, fake):
    assert cli('run', '--rm', 'busybox', 'true').returncode == 0
    assert not fake.instances
    assert ('condition', 'removed') in [(k, v) for m, p, q, d in fake.asked if p.endswith('/wait') for k, v in q.items()]


def test_detached_prints_the_id_and_the_queue_reason_on_stderr(cli, fake):
    p = cli('run', '-d', '--name', 'a', 'busybox', 'sleep', '60')
    assert re.fullmatch('[0-9a-f]{64}', p.out) and p.err == '' and p.returncode == 0
    fake.hold = ['memory: needs 4 GiB, 1.2 GiB free; held by db']
    p = cli('run', '-d', '--name', 'b', 'busybox', 'sleep', '60')
    assert re.fullmatch('[0-9a-f]{64}', p.out) and p.returncode == 0
    assert p.err == 'queued: memory: needs 4 GiB, 1.2 GiB free; held by db'


def test_a_wait_in_the_queue_is_one_line_after_300_ms(cli, fake):
    fake.hold, fake.hold_for = ['memory: needs 4 GiB, 1 GiB free'], 2
    p = cli('run', 'busybox', 'echo', 'hi')
    assert (p.out, p.err) == ('hi', 'waiting: memory: needs 4 GiB, 1 GiB free')
    fake.hold_for = 0.05
    # On a busy machine a short wait may turn out long, but not each time.
    assert any((p.out, p.err) == ('hi', '') for p in (cli('run', 'busybox', 'echo', 'hi') for _ in range(8))), \
        'a short wait is not worth a line'


def test_on_a_terminal_the_line_is_renewed_in_place_and_taken_away(cli, fake):
    fake.hold, fake.hold_for = ['memory: needs 4 GiB', 'cpu: needs 2'], 0.6
    t = Terminal([cli.exe, 'run', 'busybox', 'echo', 'hi'], cli.env)
    t.until('hi')
    assert t.end() == 0
    assert '\r\x1b[Kwaiting: memory: needs 4 GiB' in t.text and '\r\x1b[Kwaiting: cpu: needs 2' in t.text
    assert t.text.index('\r\x1b[Khi') > t.text.index('cpu: needs 2')


def test_no_wait_and_ctrl_c_in_the_queue(cli, fake):
    fake.hold, fake.hold_forever = ['memory: needs 4 GiB'], True
    p = cli('run', '--no-wait', 'busybox', 'true')
    assert p.returncode == 125 and p.err == 'hostel: not started: memory: needs 4 GiB'
    p = cli.popen('run', '--name', 'w', 'busybox', 'true')
    wait_for(lambda: any(i.state == 'queued' for i in fake.instances.values()))
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=10)
    assert p.returncode == 130
    wait_for(lambda: fake.withdrawn == ['w'])


def test_ctrl_c_counts_before_the_first_word_about_the_queue(cli, fake):
    fake.hold_forever = True
    p = cli.popen('run', 'busybox', 'true')
    wait_for(lambda: any(i.state == 'queued' for i in fake.instances.values()))
    time.sleep(0.1)
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=5)
    assert p.returncode == 130
    wait_for(lambda: fake.withdrawn)


def test_wait_timeout_is_asked_of_the_daemon(cli, fake):
    cli('run', '--wait-timeout', '30s', 'busybox', 'true')
    assert [q['wait_timeout'] for m, p, q, d in fake.asked if p.endswith('/start')] == ['30s']


def test_when_the_daemon_restarts_a_waiting_run_asks_again(cli, fake):
    fake.hold, fake.hold_forever = ['memory: needs 4 GiB'], True
    p = cli.popen('run', 'busybox', 'echo', 'at last')
    wait_for(lambda: any(i.state == 'queued' for i in fake.instances.values()))
    fake.die()
    time.sleep(0.3)
    fake.hold, fake.hold_forever = [], False
    for i in fake.instances.values():
        i.state, i.streams = 'created', []
    fake.listen()
    out, err = p.communicate(timeout=15)
    assert (p.returncode, out) == (0, 'at last\n'), err


def test_when_the_daemon_restarts_a_running_one_keeps_its_stream_and_its_exit_code(cli, fake):
    p = cli.popen('run', 'busybox', 'sh', '-c', 'echo one; sleep 1.5; echo two; exit 9')
    assert p.stdout.readline() == 'one\n'
    fake.die()
    time.sleep(0.3)
    fake.listen()
    out, err = p.communicate(timeout=20)
    assert (p.returncode, out) == (9, 'two\n'), err


def test_signals_are_passed_on(cli, fake):
    p = cli.popen('run', 'busybox', 'sh', '-c', 'trap "echo got; exit 3" TERM; echo ready; while :; do sleep 0.05; done')
    assert p.stdout.readline() == 'ready\n'
    p.send_signal(signal.SIGTERM)
    out, _ = p.communicate(timeout=10)
    assert (p.returncode, out) == (3, 'got\n')


def test_a_missing_image_is_fetched_unless_never(cli, fake):
    p = cli('run', 'other:1', 'echo', 'hi')
    assert (p.returncode, p.out) == (0, 'hi') and fake.pulled == ['other:1']
    assert 'other:1 is not here yet; fetching it' in p.err and '0123456789ab: Pull complete' in p.err
    p = cli('run', '--pull', 'never', 'third', 'true')
    assert p.returncode == 125 and p.err == 'hostel: No such image: third'
    p = cli('run', 'absent', 'true')
    assert p.returncode == 125 and 'absent:latest: not found' in p.err
    fake.pulled.clear()
    assert cli('run', '-q', '--pull', 'always', 'other:1', 'true').err == '' and fake.pulled == ['other:1']


# ---- terminals ----

def test_a_terminal_is_raw_sized_and_restored(cli, fake):
    t = Terminal([cli.exe, 'run', '-it', 'busybox', 'sh', '-c',
                  'stty -echo; echo ready; read x; echo "got $x"; stty size'], cli.env, 31, 97)
    t.until('ready')
    i = next(iter(fake.instances.values()))
    wait_for(lambda: i.sizes)
    assert i.sizes[-1] == (31, 97)
    termios.tcsetwinsize(t.fd, (40, 100))
    wait_for(lambda: i.sizes[-1] == (40, 100))
    t.type('word\r')
    t.until('got word')
    assert t.end() == 0
    doc = [d for m, p, q, d in fake.asked if p == '/containers/create'][0]
    assert doc['Tty'] and doc['OpenStdin'] and doc['HostConfig']['ConsoleSize'] == [31, 97]


def test_detach_keys_leave_it_running(cli, fake):
    t = Terminal([cli.exe, 'run', '-it', '--name', 'd', 'busybox', 'sh', '-c', 'echo ready; cat'], cli.env)
    t.until('ready')
    t.type('\x10\x11')
    assert t.end() == 0
    assert fake.find('d').state == 'running'
    t = Terminal([cli.exe, 'attach', '--detach-keys', 'ctrl-x,y', 'd'], cli.env)
    wait_for(lambda: fake.find('d').streams)
    time.sleep(0.2)
    t.type('abc\r')
    t.until('abc')
    t.type('\x18y')
    assert t.end() == 0 and fake.find('d').state == 'running'
    t = Terminal([cli.exe, 'console', 'd'], cli.env)
    t.until('Leave with Ctrl-]')
    time.sleep(0.2)
    t.type('\x1d')
    assert t.end() == 0 and fake.find('d').state == 'running'


def test_minus_t_without_a_terminal_is_refused(cli):
    p = cli('run', '-it', 'busybox', 'true')
    assert p.returncode == 125 and 'the input is no terminal' in p.err


# ---- exec, attach, start ----

def test_exec_passes_streams_and_code(cli, fake):
    cli.ok = cli('run', '-d', '--name', 'x', 'busybox', 'sleep', '60')
    p = cli('exec', '-i', '-e', 'A=b', 'x', 'sh', '-c', 'cat; echo $A; echo e >&2; exit 4', input='in\n')
    assert (p.returncode, p.out, p.err) == (4, 'in\nb', 'e')
    assert cli('exec', 'x', 'no-such-program').returncode == 127
    p = cli('exec', 'nobody', 'true')
    assert p.returncode == 1 and p.err == 'hostel: container nobody is not running'
    assert cli('exec', '-d', 'x', 'true').returncode == 0


def test_start_waits_and_attaches(cli, fake):
    assert cli('create', '--name', 's', 'busybox', 'sh', '-c', 'echo hi; exit 5').returncode == 0
    p = cli('start', '-a', 's')
    assert (p.returncode, p.out, p.err) == (5, 'hi', '')
    cli('create', '--name', 't', 'busybox', 'sleep', '60')
    p = cli('start', 't', 'nobody')
    assert p.returncode == 1 and p.out == 't' and p.err == 'hostel: No such container: nobody'
    assert cli('start', 't').returncode == 0, 'a running one is no error'
    assert cli('stop', '-t', '1', 't', 's').returncode == 0


# ---- what is sent ----

@pytest.mark.parametrize('args,path,want', [
    (['-m', '256m'], 'HostConfig.Memory', 256 << 20),
    (['--memory=1g', '--memory-swap', '-1'], 'HostConfig.MemorySwap', -1),
    (['--memory-reservation', '64m'], 'HostConfig.MemoryReservation', 64 << 20),
    (['--cpus', '0.5'], 'HostConfig.NanoCpus', 500000000),
    (['-c', '512'], 'HostConfig.CpuShares', 512),
    (['--cpuset-cpus=0-1'], 'HostConfig.CpusetCpus', '0-1'),
    (['--pids-limit', '10'], 'HostConfig.PidsLimit', 10),
    (['-e', 'A=1', '-eB=2', '--env', 'HOME'], 'Env', ['A=1', 'B=2', 'HOME=' + os.environ.get('HOME', '')]),
    (['-e', 'NOT_SET_ANYWHERE'], 'Env', None),
    (['-v', '/a:/b:ro', '-v', 'vol:/c'], 'HostConfig.Binds', ['/a:/b:ro', 'vol:/c']),
    (['-v', '/anonymous'], 'Volumes', {'/anonymous': {}}),
    (['--mount', 'type=bind,src=/a,dst=/b,readonly'], 'HostConfig.Mounts',
     [{'Type': 'bind', 'Source': '/a', 'Target': '/b', 'ReadOnly': True}]),
    (['--mount', 'type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700'], 'HostConfig.Mounts',
     [{'Type': 'tmpfs', 'Target': '/t', 'TmpfsOptions': {'SizeBytes': 1 << 20, 'Mode': 0o700}}]),
    (['--tmpfs', '/run:size=1m'], 'HostConfig.Tmpfs', {'/run': 'size=1m'}),
    (['-p', '8080:80'], 'HostConfig.PortBindings', {'80/tcp': [{'HostIp': '', 'HostPort': '8080'}]}),
    (['-p', '127.0.0.1:53:53/udp'], 'HostConfig.PortBindings', {'53/udp': [{'HostIp': '127.0.0.1', 'HostPort': '53'}]}),
    (['-p', '80'], 'HostConfig.PortBindings', {'80/tcp': [{'HostIp': '', 'HostPort': ''}]}),
    (['-p', '8000-8001:80-81'], 'HostConfig.PortBindings',
     {'80/tcp': [{'HostIp': '', 'HostPort': '8000'}], '81/tcp': [{'HostIp': '', 'HostPort': '8001'}]}),
    (['-p', '8000-8005:80'], 'HostConfig.PortBindings', {'80/tcp': [{'HostIp': '', 'HostPort': '8000-8005'}]}),
    (['-p', '[::1]:1:2'], 'HostConfig.PortBindings', {'2/tcp': [{'HostIp': '::1', 'HostPort': '1'}]}),
    (['-p', '80:80'], 'ExposedPorts', {'80/tcp': {}}),
    (['--expose', '5000-5001'], 'ExposedPorts', {'5000/tcp': {}, '5001/tcp': {}}),
    (['-P'], 'HostConfig.PublishAllPorts', True),
    (['--vm'], 'HostConfig.Runtime', 'vm'),
    (['--isolation', 'vm'], 'HostConfig.Runtime', 'vm'),
    (['--runtime', 'vm'], 'HostConfig.Runtime', 'vm'),
    (['--isolation', 'container'], 'HostConfig.Runtime', None),
    (['--rm'], 'HostConfig.AutoRemove', True),
    (['--rm=false'], 'HostConfig.AutoRemove', False),
    (['--restart', 'on-failure:3'], 'HostConfig.RestartPolicy', {'Name': 'on-failure', 'MaximumRetryCount': 3}),
    (['-l', 'a=b', '--label', 'c'], 'Labels', {'a': 'b', 'c': ''}),
    (['--net-rate', '100mbit,50mbit'], 'Labels', {'hostel.net-rate': '100mbit,50mbit'}),
    (['--priority', '5', '--expect', '10m'], 'Labels', {'hostel.priority': '5', 'hostel.expect': '10m'}),
    (['-h', 'name'], 'Hostname', 'name'),
    (['-u', '1000:1000'], 'User', '1000:1000'),
    (['-w', '/tmp'], 'WorkingDir', '/tmp'),
    (['--entrypoint', 'sh'], 'Entrypoint', ['sh']),
    (['--cap-add', 'NET_ADMIN', '--cap-drop=ALL'], 'HostConfig.CapDrop', ['ALL']),
    (['--privileged', '--read-only', '--init'], 'HostConfig.Init', True),
    (['--security-opt', 'no-new-privileges'], 'HostConfig.SecurityOpt', ['no-new-privileges']),
    (['--device', '/dev/fuse'], 'HostConfig.Devices',
     [{'PathOnHost': '/dev/fuse', 'PathInContainer': '/dev/fuse', 'CgroupPermissions': 'rwm'}]),
    (['--device', '/dev/a:/dev/b:r'], 'HostConfig.Devices',
     [{'PathOnHost': '/dev/a', 'PathInContainer': '/dev/b', 'CgroupPermissions': 'r'}]),
    (['--ulimit', 'nofile=10:20'], 'HostConfig.Ulimits', [{'Name': 'nofile', 'Soft': 10, 'Hard': 20}]),
    (['--ulimit', 'core=unlimited'], 'HostConfig.Ulimits', [{'Name': 'core', 'Soft': -1, 'Hard': -1}]),
    (['--sysctl', 'net.core.somaxconn=99'], 'HostConfig.Sysctls', {'net.core.somaxconn': '99'}),
    (['--shm-size', '1g'], 'HostConfig.ShmSize', 1 << 30),
    (['--stop-signal', 'INT', '--stop-timeout', '3'], 'StopTimeout', 3),
    (['--log-driver', 'none'], 'HostConfig.LogConfig.Type', 'none'),
    (['--log-opt', 'max-size=1m'], 'HostConfig.LogConfig.Config', {'max-size': '1m'}),
    (['--storage-opt', 'size=10g'], 'HostConfig.StorageOpt', {'size': '10g'}),
    (['--device-read-bps', '/dev/sda:1mb'], 'HostConfig.BlkioDeviceReadBps', [{'Path': '/dev/sda', 'Rate': 1 << 20}]),
    (['--device-write-iops', '/dev/sda:99'], 'HostConfig.BlkioDeviceWriteIOps', [{'Path': '/dev/sda', 'Rate': 99}]),
    (['--dns', '1.1.1.1', '--dns-search', 'x'], 'HostConfig.Dns', ['1.1.1.1']),
    (['--add-host', 'a=1.2.3.4', '--add-host', 'b:::1'], 'HostConfig.ExtraHosts', ['a:1.2.3.4', 'b:::1']),
    (['--group-add', 'audio'], 'HostConfig.GroupAdd', ['audio']),
    (['--net', 'none'], 'HostConfig.NetworkMode', 'none'),
    (['--network', 'container:web'], 'HostConfig.NetworkMode', 'container:web'),
    (['--health-cmd', 'true', '--health-interval', '5s'], 'Healthcheck', {'Test': ['CMD-SHELL', 'true'],
                                                                         'Interval': 5000000000}),
])
def test_a_flag_becomes_its_member_of_the_request(cli, args, path, want):
    got = cli.body(*args)
    for part in path.split('.'):
        got = (got or {}).get(part)
    assert got == want


@pytest.mark.parametrize('args,text', [
    (['-m', '1024'], '1024 is bytes; did you mean 1024m?'),
    (['-m', '1k'], '1k is too small'),
    (['-m', 'lots'], '"lots" is not a size'),
    (['--cpus', 'x'], '"x" is not a number'),
    (['-p', '99999:80'], 'out of range'),
    (['-p', '80/sctp'], 'tcp or udp'),
    (['-p', '1-2:80-85'], 'not equally long'),
    (['--gpus', 'all'], 'GPUs cannot be given to instances yet'),
    (['--restart', 'sometimes'], 'one of no, on-failure[:N], always, unless-stopped'),
    (['--mount', 'type=bind,src=/a'], 'names no target'),
    (['--mount', 'target=/a,colour=red'], 'unknown key "colour"'),
    (['--ulimit', 'nofile'], 'expected NAME=SOFT[:HARD]'),
    (['--isolation', 'hyperv'], 'one of: container vm'),
    (['--env-file', '/nowhere'], '/nowhere: No such file or directory'),
    (['--name'], '--name needs a value'),
])
def test_a_bad_flag_is_refused_in_one_line(cli, fake, args, text):
    p = cli('run', *args, *([] if args == ['--name'] else ['busybox', 'true']))
    assert p.returncode == 125 and text in p.err and p.err.startswith('hostel: ') and '\n' not in p.err
    assert not fake.asked, 'nothing was asked of the daemon'


def test_files_named_by_flags_are_read_here(cli, tmp_path):
    (tmp_path / 'env').write_text('# comment\nA=1\n\nB=two words\n')
    (tmp_path / 'labels').write_text('x=y\n')
    (tmp_path / 'seccomp.json').write_text('{"defaultAction":"SCMP_ACT_ALLOW"}')
    doc = cli.body('--env-file', str(tmp_path / 'env'), '--label-file', str(tmp_path / 'labels'),
                   '--security-opt', f'seccomp={tmp_path}/seccomp.json')
    assert doc['Env'] == ['A=1', 'B=two words'] and doc['Labels'] == {'x': 'y'}
    assert doc['HostConfig']['SecurityOpt'] == ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']


def test_attach_chooses_streams_and_sig_proxy_can_be_off(cli, fake):
    cli('run', '-a', 'stdout', 'busybox', 'true')
    q = [q for m, p, q, d in fake.asked if p.endswith('/attach')][0]
    assert (q['stdin'], q['stdout'], q['stderr']) == ('0', '1', '0')
    p = cli.popen('run', '--sig-proxy=false', '--name', 'nosig', 'busybox', 'sh', '-c', 'echo ready; sleep 60')
    assert p.stdout.readline() == 'ready\n'
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=10)
    assert p.returncode == -signal.SIGTERM and fake.find('nosig').state == 'running'


def test_cidfile_is_written_once(cli, tmp_path):
    path = tmp_path / 'cid'
    p = cli('create', '--cidfile', str(path), 'busybox')
    assert path.read_text() == p.out
    assert 'the file exists' in cli('run', '--cidfile', str(path), 'busybox').err


@pytest.mark.parametrize('args,want', [
    (['--memory', '1024'], {'memory_bytes': 1 << 30}),
    (['--memory', '1g'], {'memory_bytes': 1 << 30}),
    (['--memory', '1024m', '--vcpus', '2'], {'memory_bytes': 1 << 30, 'vcpus': 2}),
    (['--disk', '/a.qcow2'], {'disks': [{'path': '/a.qcow2'}]}),
    (['--disk', '/a,overlay', '--disk', 'new:20g'],
     {'disks': [{'path': '/a', 'overlay': True}, {'new_bytes': 20 << 30}]}),
    (['--disk', 'rel.img,format=raw,ro'], {'disks': [{'path': os.getcwd() + '/rel.img', 'format': 'raw',
                                                      'readonly': True}]}),
    (['--kernel', '/k', '--initrd', '/i', '--append', 'quiet x=y'], {'kernel': '/k', 'initrd': '/i',
                                                                     'append': 'quiet x=y'}),
    (['--net-rate', '100mbit,50kbit'], {'net_egress_bps': 100000000, 'net_ingress_bps': 50000}),
    (['-p', '127.0.0.1:2222:22'], {'ports': [{'protocol': 'tcp', 'container_port': 22, 'host_port': 2222,
                                              'host_ip': '127.0.0.1'}]}),
])
def test_vm_create_sends_a_machine(cli, fake, args, want):
    fake.answers['POST', '/hostel/v1/vms'] = (201, {'id': 'f' * 64, 'name': 'm', 'warnings': ['take care']})
    p = cli('vm', 'create', 'mach', *args)
    assert (p.out, p.err) == ('f' * 64, 'warning: take care')
    assert fake.asked[-1][3] == {'name': 'mach', **want}


# ---- lists ----

def test_ps_shows_all_that_have_not_exited_with_the_reason_of_those_that_wait(cli, fake):
    cli('run', '-d', '--name', 'web', '-m', '256m', '--cpus', '0.5', 'busybox', 'sleep', '60')
    cli('run', '--name', 'gone', 'busybox', 'sh', '-c', 'exit 3')
    fake.hold = ['memory: needs 4 GiB, 1.2 GiB free']
    cli('run', '-d', '--name', 'big', 'busybox', 'true')
    lines = cli('ps').out.splitlines()
    assert lines[0].split() == ['NAME', 'KIND', 'IMAGE', 'STATE', 'CPU', 'MEM', 'ADDRESS', 'PORTS', 'USER', 'AGE']
    assert re.fullmatch(r'big +container +busybox +queued \(memory: needs 4 GiB, 1.2 GiB free\) +- +- +- +- +root +1 min',
                        lines[1])
    assert re.fullmatch(r'web +container +busybox +running +0.5 +256 MiB +10.88.0.2 +- +root +1 min', lines[2])
    assert len(lines) == 3
    assert 'exited (3)' in cli('ps', '-a').out
    assert len(cli('ps', '-q').out.splitlines()) == 2 and len(cli('ps', '-q').out.splitlines()[0]) == 12
    assert [i['name'] for i in json.loads(cli('ps', '--format', 'json').out)] == ['big', 'web']
    assert cli('ps', '--format', '{{.Name}}/{{.state}}').out == 'big/queued\nweb/running'
    assert cli('ps', '-aq', '-f', 'name=gone').out == fake.find('gone').id[:12]


def test_images_load_pull_import(cli, fake, tmp_path):
    (tmp_path / 'a.tar').write_bytes(os.urandom(300000))
    p = cli('load', '-i', str(tmp_path / 'a.tar'))
    assert p.out == 'Loaded image: loaded:1' and fake.uploads[-1] == (tmp_path / 'a.tar').read_bytes()
    assert re.search(r'loaded +1 +abababababab +2 h +3 MiB', cli('images').out)
    assert cli('images', '-q').out.splitlines()[0] == 'ab' * 6
    p = cli('pull', 'localhost:5000/x')
    assert fake.pulled[-1] == 'localhost:5000/x:latest' and p.out.splitlines()[1:] == [
        '0123456789ab: Downloading', '0123456789ab: Pull complete']
    assert cli('pull', 'absent').returncode == 1
    p = cli('import', '-c', 'CMD sh', '-', 'mine:2', input='tarball')
    assert fake.uploads[-1] == b'tarball' and p.out == 'sha256:' + 'cd' * 32
    p = cli('load', '-i', '/nowhere')
    assert (p.returncode, p.err) == (1, 'hostel: /nowhere: No such file or directory')


def test_pull_draws_a_bar_on_a_terminal(cli, fake):
    t = Terminal([cli.exe, 'pull', 'x'], cli.env)
    t.until('Pull complete')
    assert t.end() == 0
    assert '0123456789ab: Downloading [============>           ] 1 MiB of 2 MiB' in t.text and '\x1b[1A' in t.text


def test_several_names_go_on_after_a_bad_one(cli, fake):
    cli('run', '-d', '--name', 'a', 'busybox', 'sleep', '60')
    p = cli('rm', '-f', 'nobody', 'a')
    assert p.out == 'a' and not fake.instances and p.err == 'hostel: No such container: nobody'
    p = cli('kill', 'x', 'y')
    assert p.returncode == 1 and len(p.err.splitlines()) == 2


# ---- help, completion, manual ----

def options():
    """(command, usage, [option rows]) of the tables."""
    found = []
    for line in run(need('hostel'), '__options').stdout.splitlines():
        if not line.startswith('\t'):
            name, usage, summary = line.split('\t')
            found.append((name, usage, summary, []))
        else:
            found[-1][3].append(line.split('\t')[1:])
    return found


def test_every_command_has_help_that_names_its_options():
    found = options()
    assert len(found) >= 50
    for name, usage, summary, rows in found:
        p = run(need('hostel'), *name.split(), '--help')
        assert p.returncode == 0 and p.out.startswith(f'Usage: hostel {name}') and summary in p.out, name
        for letter, long, arg, text in rows:
            assert f'--{long}' in p.out and text in p.out and (letter == '-' or f'-{letter}, ' in p.out)
    top = run(need('hostel'), '--help').out
    for name, *_ in found:
        assert re.search(rf'^  {name.split()[0]} ', top, re.M)


def test_no_two_options_of_a_command_share_a_name_or_letter():
    for name, usage, summary, rows in options():
        names, letters = [r[1] for r in rows], [r[0] for r in rows if r[0] != '-']
        assert len(set(names)) == len(names) and len(set(letters)) == len(letters), name


def test_completion_offers_commands_options_choices_and_names(cli, fake):
    cli('run', '-d', '--name', 'webserver', 'busybox', 'sleep', '60')
    complete = lambda *w: cli('__complete', '--', *w).out.split()
    assert complete('ex') == ['exec', 'export']
    assert complete('vm', '') == ['create', 'ls']
    assert '--memory-swap' in complete('run', '--mem') and complete('run', '--isolation', 'v') == ['vm']
    assert complete('exec', '-i', 'web') == ['webserver']
    assert complete('run', 'busy') == ['busybox:latest']
    assert complete('load', '-i', '') == [':file']
    assert '__complete' not in complete('')


def test_completion_scripts_are_valid(cli):
    script = cli('completion', 'bash').stdout
    assert subprocess.run(['bash', '-n'], input=script, text=True).returncode == 0
    probe = script + f'''
        hostel() {{ {cli.exe} "$@"; }}
        COMP_WORDS=(hostel run --isol); COMP_CWORD=2; _hostel; echo "${{COMPREPLY[*]}}"'''
    p = run('bash', '-c', probe, env=cli.env)
    assert p.out == '--isolation', p.err
    for shell in ('zsh', 'fish'):
        assert 'hostel __complete' in cli('completion', shell).out
    assert cli('completion', 'tcsh').returncode == 1


def test_it_links_nothing_that_makes_its_start_slow(cli):
    p = run('ldd', cli.exe)
    linked = p.out + p.err
    assert 'not a dynamic executable' in linked or 'libc.so' in linked, linked
    assert not re.search('curl|gnutls|seccomp|archive|sqlite', linked), linked


def test_the_manual_page_says_what_the_tables_say():
    exe = need('hostel')
    assert run('/usr/bin/python3', ROOT / 'tools/man_options.py', exe, '--check').returncode == 0, \
        'run tools/man_options.py BUILD/hostel'
    page = (ROOT / 'docs/man/hostel.1.scd').read_text()
    for name, usage, summary, rows in options():
        assert f'## hostel {name}' in page
        for letter, long, arg, text in rows:
            assert f'*--{long}*' in page, f'{name} --{long}'


def test_the_daemon_pages_name_every_setting_of_hosteld():
    settings = re.findall(r'^ *--([a-z-]+)', run(need('hosteld'), '--help').out, re.M)
    assert 'root' in settings and len(settings) > 15
    page8 = (ROOT / 'docs/man/hosteld.8.scd').read_text().replace('\\', '')
    page5 = (ROOT / 'docs/man/hosteld.json.5.scd').read_text().replace('\\', '')
    for s in settings:
        assert f'*--{s}*' in page8, s
        if s not in ('config', 'check-config', 'teardown', 'help', 'version'):
            assert f'*{s.replace("-", "_")}*' in page5, s


@pytest.mark.parametrize('page', ['hostel.1', 'hosteld.8', 'hosteld.json.5'])
def test_manual_pages_are_clean(page, tmp_path):
    for tool in ('scdoc', 'mandoc'):
        if run('sh', '-c', f'command -v {tool}').returncode:
            pytest.skip(f'{tool} is not installed')
    with open(ROOT / f'docs/man/{page}.scd') as source:
        p = run('/usr/bin/python3', ROOT / 'tools/man_page.py', 'scdoc', stdin=source)
    assert p.returncode == 0, p.err
    (tmp_path / page).write_text(p.stdout)
    assert run('mandoc', '-Tlint', tmp_path / page).out == ''


# ---- stories against the real one ----

def test_a_container_from_load_to_rm(hosteld):
    h = hosteld
    assert re.search(r'^busybox +latest', h.ok('images'), re.M)
    p = h.hostel('run', '--name', 'story', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 7')
    assert (p.returncode, p.out, p.err) == (7, 'out', 'err')
    assert 'exited (7)' in h.ok('ps', '-a') and 'story' not in h.ok('ps')
    p = h.hostel('logs', 'story')
    assert (p.out, p.err) == ('out', 'err')
    assert h.ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'story') == 'exited 7'
    assert h.ok('rm', 'story') == 'story' and 'story' not in h.ok('ps', '-a')


@pytest.mark.parametrize('argv,code', [
    (['sh', '-c', 'sleep 9 & kill -9 $!; wait $!'], 137), (['sh', '-c', 'exit 255'], 255), (['no-such-program'], 127), (['/etc'], 126)])
def test_real_exit_codes(hosteld, argv, code):
    p = hosteld.hostel('run', '--rm', 'busybox', *argv)
    assert p.returncode == code and len(p.err.splitlines()) <= 1, p.err
    assert hosteld.ok('ps', '-aq') == ''


def test_stdin_flows_through_a_real_one(hosteld):
    data = 'y' * 99 + '\n'
    p = hosteld.hostel('run', '-i', '--rm', 'busybox', 'sh', '-c', 'cat; echo end', input=data * 5000)
    assert p.stdout == data * 5000 + 'end\n' and p.returncode == 0, p.err


def test_a_service_lives_is_looked_at_and_changed(hosteld):
    h = hosteld
    h.ok('run', '-d', '--name', 'web', '-m', '64m', '--cpus', '0.5', '-e', 'A=b', '-h', 'host7', 'busybox', 'sleep', '600')
    line = h.ok('ps').splitlines()[1]
    assert re.match(r'web +container +busybox(:latest)? +running +0.5 +64 MiB +10\.\d+\.\d+\.\d+ +- +root +\d+ s', line)
    assert h.ok('exec', 'web', 'sh', '-c', 'echo $A; hostname') == 'b\nhost7'
    assert h.hostel('exec', 'web', 'sh', '-c', 'exit 3').returncode == 3
    assert h.hostel('exec', 'web', 'no-such').returncode == 127
    assert h.hostel('exec', '-i', 'web', 'cat', input='typed').out == 'typed'
    assert 'sleep 600' in h.ok('top', 'web')
    assert re.search(r'^web +[0-9.]+% +[0-9.]+ .iB / 64 MiB', h.ok('stats', '--no-stream', 'web'), re.M)
    h.ok('pause', 'web')
    assert ' paused ' in h.ok('ps')
    h.ok('unpause', 'web')
    h.ok('update', '-m', '96m', 'web')
    h.ok('rename', 'web', 'site')
    assert re.search(r'^site .* 96 MiB', h.ok('ps'), re.M)
    h.ok('stop', '-t', '0', 'site')
    assert h.ok('wait', 'site') == '137'
    h.ok('start', 'site')
    h.ok('kill', '-s', 'KILL', 'site')


def test_files_go_in_and_out(hosteld, tmp_path):
    h = hosteld
    h.ok('run', '-d', '--name', 'files', 'busybox', 'sleep', '600')
    (tmp_path / 'dir/sub').mkdir(parents=True)
    (tmp_path / 'dir/sub/one').write_text('1')
    (tmp_path / 'two').write_text('22')
    h.ok('cp', tmp_path / 'two', 'files:/tmp')
    h.ok('cp', tmp_path / 'two', 'files:/tmp/renamed')
    h.ok('cp', tmp_path / 'dir', 'files:/tmp/')
    assert h.ok('exec', 'files', 'sh', '-c', 'cat /tmp/two /tmp/renamed /tmp/dir/sub/one') == '22221'
    h.ok('cp', 'files:/tmp/dir', tmp_path / 'back')
    assert (tmp_path / 'back/sub/one').read_text() == '1'
    h.ok('cp', 'files:/tmp/two', tmp_path / 'dir')
    assert (tmp_path / 'dir/two').read_text() == '22'
    assert not list(tmp_path.glob('**/.hostel-cp*'))
    assert 'A /tmp/renamed' in h.ok('diff', 'files').splitlines()
    p = h.hostel('cp', 'files:/nowhere', tmp_path / 'x')
    assert p.returncode == 1 and len(p.err.splitlines()) == 1
    h.ok('export', '-o', tmp_path / 'all.tar', 'files')
    assert 'tmp/renamed' in run('tar', '-tf', tmp_path / 'all.tar').out


def test_a_terminal_of_a_real_one(hosteld):
    t = Terminal([hosteld.cli, 'run', '-it', '--name', 'term', 'busybox', 'sh'], hosteld.env, 33, 99)
    t.until('# ')
    t.type('stty size; tty\r')
    t.until('33 99')
    t.until('/dev/pts/0')
    termios.tcsetwinsize(t.fd, (44, 111))
    time.sleep(0.3)
    t.type('stty size\r')
    t.until('44 111')
    t.type('\x10\x11')
    assert t.end() == 0 and re.search('^term .* running', hosteld.ok('ps'), re.M)
    t = Terminal([hosteld.cli, 'attach', 'term'], hosteld.env)
    time.sleep(0.3)
    t.type('exit 5\r')
    assert t.end() == 5


def test_signals_and_logs_follow(hosteld):
    h = hosteld
    p = h.popen('run', '--name', 'sig', 'busybox', 'sh', '-c',
                'trap "echo got; exit 3" TERM; echo ready; while :; do sleep 0.05; done')
    assert p.stdout.readline() == 'ready\n'
    logs = h.popen('logs', '-f', 'sig')
    p.send_signal(signal.SIGTERM)
    out, _ = p.communicate(timeout=20)
    assert (p.returncode, out) == (3, 'got\n')
    assert logs.communicate(timeout=20)[0] == 'ready\ngot\n'


def test_a_full_disk_is_told_once(hosteld):
    hosteld.ok('run', '--name', 'talk', 'busybox', 'echo', 'hi')
    for argv in ('logs', 'talk'), ('export', 'talk'):
        with open('/dev/full', 'w') as full:
            p = subprocess.run([hosteld.cli, *argv], env=hosteld.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert p.returncode == 1 and p.stderr == 'hostel: write: No space left on device\n'


def test_a_device_is_written_to_and_not_replaced(hosteld, tmp_path):
    hosteld.ok('create', '--name', 'flat', 'busybox')
    hosteld.ok('snapshot', 'create', 'flat', 's1')
    full, mine = tmp_path / 'full', tmp_path / 'x.tmp'
    os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    mine.write_text('mine')
    for *argv, out in (['save', 'busybox', '-o'], ['export', 'flat', '-o'], ['snapshot', 'export', 'flat', 's1', None]):
        p = hosteld.hostel(*argv, *filter(None, [out]), full)
        assert p.returncode == 1 and p.err.splitlines()[-1].endswith(f'{full}: write: No space left on device'), p.err
        assert stat.S_ISCHR(full.stat().st_mode)
        hosteld.ok(*argv, *filter(None, [out]), tmp_path / 'x')
        assert (tmp_path / 'x').stat().st_size > 100 and mine.read_text() == 'mine'
    assert len(os.listdir(tmp_path)) == 3


def test_images_tag_save_import_rmi(hosteld, tmp_path):
    h = hosteld
    h.ok('tag', 'busybox', 'mine:1')
    h.ok('save', '-o', tmp_path / 'mine.tar', 'mine:1')
    h.ok('rmi', 'mine:1')
    assert 'mine' not in h.ok('images')
    assert 'Loaded image: mine:1' in h.ok('load', '-i', tmp_path / 'mine.tar')
    h.ok('rmi', 'mine:1')
    h.ok('create', '--name', 'flat', 'busybox')
    h.ok('export', '-o', tmp_path / 'flat.tar', 'flat')
    h.ok('import', '-c', 'CMD ["echo", "imported"]', tmp_path / 'flat.tar', 'flat:2')
    assert h.ok('run', '--rm', 'flat:2') == 'imported'
    assert 'CREATED BY' in h.ok('history', 'flat:2')
    h.ok('rm', 'flat')
    h.ok('rmi', 'flat:2')


def test_pull_from_a_registry(hosteld, registry, busybox_tar):
    ref = registry.push(busybox_tar, 'lib/bb:9')
    p = hosteld.hostel('run', '--rm', ref, 'echo', 'pulled')
    assert (p.returncode, p.out) == (0, 'pulled'), p.err
    assert f'{ref} is not here yet; fetching it' in p.err
    hosteld.ok('rmi', ref)


def test_volumes(hosteld):
    h = hosteld
    assert h.ok('volume', 'create', 'data') == 'data'
    h.ok('run', '--rm', '-v', 'data:/srv', 'busybox', 'sh', '-c', 'echo kept > /srv/f')
    assert h.ok('run', '--rm', '-v', 'data:/srv:ro', 'busybox', 'cat', '/srv/f') == 'kept'
    assert 'data' in h.ok('volume', 'ls', '-q').split()
    assert json.loads(h.ok('volume', 'inspect', 'data'))[0]['Name'] == 'data'
    h.ok('volume', 'rm', 'data')


def test_a_full_host_says_what_it_waits_for_and_an_ordinary_run_goes_through(new_hosteld, busybox_tar):
    h = new_hosteld('--memory-total', '1g', '--cpus-total', '2')
    h.ok('load', '-q', '-i', busybox_tar)
    h.ok('run', '-d', '--name', 'holder', '-m', '500m', 'busybox', 'sleep', '600')
    p = h.hostel('run', '-d', '--name', 'waiter', '-m', '400m', 'busybox', 'echo', 'later')
    assert p.returncode == 0 and p.err.startswith('queued: memory: needs 400 MiB, '), p.err
    assert re.search(r'^waiter +container +400 MiB|^waiter ', h.ok('queue'), re.M)
    assert re.search(r'^waiter .* queued \(memory: needs 400 MiB, .* held by holder', h.ok('ps'), re.M)
    assert h.ok('run', '--rm', 'busybox', 'echo', 'hi') == 'hi'
    p = h.hostel('run', '--no-wait', '-m', '400m', 'busybox', 'true')
    assert p.returncode == 125 and 'memory: needs 400 MiB' in p.err and len(p.err.splitlines()) == 1
    p = h.hostel('run', '--rm', '--wait-timeout', '1s', '-m', '400m', 'busybox', 'true')
    assert p.returncode == 125 and 'memory: needs 400 MiB' in p.err
    w = h.popen('run', '--rm', '--name', 'ctrlc', '-m', '400m', 'busybox', 'true')
    wait_for(lambda: 'ctrlc' in h.ok('queue'))
    w.send_signal(signal.SIGINT)
    w.communicate(timeout=10)
    assert w.returncode == 130
    wait_for(lambda: 'ctrlc' not in h.ok('ps', '-a'))
    p = h.hostel('run', '-m', '4g', 'busybox', 'true')
    assert p.returncode == 125 and '4 GiB' in p.err, 'more than there is at all is refused'
    h.ok('rm', '-f', 'holder')
    assert h.ok('wait', 'waiter') == '0' and h.ok('logs', 'waiter') == 'later'
    assert re.search(r'R_total +8 +', h.ok('resources')) and 'T_wait' in h.ok('accounting')


def test_kill_9_of_the_daemon_disturbs_no_session_and_no_waiting_run(new_hosteld, busybox_tar):
    h = new_hosteld('--memory-total', '1g')
    h.ok('load', '-q', '-i', busybox_tar)
    running = h.popen('run', '--rm', '-m', '500m', 'busybox', 'sh', '-c', 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done; exit 9')
    assert running.stdout.readline() == '1\n'
    waiting = h.popen('run', '-m', '400m', 'busybox', 'echo', 'at last')
    wait_for(lambda: h.ok('queue', '-q'))
    h.kill()
    time.sleep(0.5)
    h.start()
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (9, '2\n3\n4\n5\n6\n'), err
    out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (0, 'at last\n'), err


def test_the_same_image_as_a_container_and_as_a_vm(kernel):
    h = kernel
    here = h.ok('run', '--rm', 'busybox', 'uname', '-r')
    there = h.ok('run', '--rm', '--vm', 'busybox', 'uname', '-r', timeout=120)
    assert here == os.uname().release != there and re.match(r'\d+\.\d+', there)
    p = h.hostel('run', '--rm', '--isolation', 'vm', '-i', '-e', 'A=b', 'busybox', 'sh', '-c',
                 'cat; echo $A; echo e >&2; exit 7', input='in\n', timeout=120)
    assert (p.returncode, p.out, p.err) == (7, 'in\nb', 'e')
    h.ok('run', '-d', '--name', 'vm', '--vm', '-m', '256m', 'busybox', 'sleep', '600', timeout=120)
    assert h.ok('exec', 'vm', 'uname', '-r', timeout=60) == there
    assert re.search(r'^vm +vm +busybox.* running ', h.ok('ps'), re.M)
    assert 'vm' in h.ok('vm', 'ls')


def test_a_machine_and_its_console(kernel):
    h = kernel
    h.ok('vm', 'create', 'mach', '--memory', '256', '--vcpus', '1')
    h.ok('start', 'mach', timeout=120)
    assert re.search(r'^mach +machine +- +running +1 +256 MiB', h.ok('ps'), re.M)
    t = Terminal([h.cli, 'console', 'mach'], h.env)
    t.until('Leave with Ctrl-]')
    time.sleep(0.5)
    t.type('\x1d')
    assert t.end() == 0 and re.search('^mach .* running', h.ok('ps'), re.M)
    h.ok('stop', 'mach', timeout=60)
    assert re.search('^mach .* exited', h.ok('ps', '-a'), re.M)
