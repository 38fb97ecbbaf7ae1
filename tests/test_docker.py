# SPDX-License-Identifier: Apache-2.0
"""The ordinary docker CLI, and docker-py, against hosteld."""
import contextlib, os, pty, select, subprocess, time

import pytest


@pytest.fixture
def cli(hosteld):
    def call(*args, rc=0, **kw):
        p = hosteld.docker(*args, **kw)
        assert p.returncode == rc, f'docker {" ".join(args)}: {p.returncode}\n{p.out}\n{p.err}'
        return p
    return call


def drive(hosteld, argv, steps):
    """A program on a terminal: [(seconds to read first, bytes to type)]; what it wrote."""
    pid, fd = pty.fork()
    if not pid:
        os.execvpe(argv[0], argv, hosteld.env)
    out = b''

    def read_for(seconds):
        nonlocal out
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([fd], [], [], 0.05)[0]:
                try:
                    data = os.read(fd, 65536)
                except OSError:
                    return
                out += data
    for wait, data in steps:
        read_for(wait)
        os.write(fd, data)
    read_for(3)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    os.close(fd)
    return out


@pytest.mark.parametrize('command, code, words', [
    (['true'], 0, ''),
    (['sh', '-c', 'exit 7'], 7, ''),
    (['no-such-program'], 127, 'executable file not found'),
    (['/no/such/path'], 127, 'no such file or directory'),
    (['/etc'], 126, 'is a directory'),
    (['/etc/passwd'], 126, 'permission denied'),
], ids=lambda x: str(x)[:20])
def test_run_has_dockers_exit_codes(cli, command, code, words):
    assert words in cli('run', '--rm', 'busybox', *command, rc=code).err
    assert cli('ps', '-aq').out == ''


@pytest.mark.parametrize('args, words', [
    (['--stop-signal', 'BOGUS'], 'invalid signal: BOGUS'),
    (['--cpuset-cpus', '4000'], 'Requested CPUs are not available - requested 4000, available: '),
    (['--log-opt', 'colour=red'], "unknown log opt 'colour' for json-file log driver"),
    (['--isolation', 'hyperv'], "invalid isolation 'hyperv'"),
    (['-m', '1m'], 'Minimum memory limit allowed is 6MB, got 1048576 bytes'),
], ids=lambda x: str(x)[:20])
def test_what_the_host_cannot_give_is_refused_when_it_is_made(cli, args, words):
    assert words in cli('create', *args, 'busybox', rc=1).err
    assert cli('ps', '-aq').out == ''


def test_inspect_says_the_hostname_that_the_instance_has(cli):
    cli('run', '-d', '--name', 'plain', 'busybox', 'sleep', '1000')
    cli('run', '-d', '--name', 'named', '-h', 'here', 'busybox', 'sleep', '1000')
    for name in ('plain', 'named'):
        assert cli('inspect', '-f', '{{.Config.Hostname}}', name).out == cli('exec', name, 'hostname').out != ''


def test_exec_does_not_make_a_missing_folder_to_work_in(cli):
    cli('run', '-d', '--name', 'there', '-w', '/made', 'busybox', 'sleep', '1000')
    assert cli('exec', 'there', 'pwd').out == '/made'
    p = cli('exec', '-w', '/missing', 'there', 'pwd', rc=127)
    assert 'working directory "/missing"' in p.out + p.err
    assert cli('exec', 'there', 'ls', '-d', '/missing', rc=1).out == ''


def test_an_unknown_status_to_filter_by_is_named(cli):
    assert "invalid filter 'status=bogus'" in cli('ps', '-a', '--filter', 'status=bogus', rc=1).err
    assert cli('ps', '-aq', '--filter', 'status=queued').out == ''


def test_streams_are_told_apart_and_stdin_arrives(cli):
    p = cli('run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2')
    assert (p.out, p.err) == ('out', 'err')
    assert cli('run', '--rm', '-i', 'busybox', 'cat', input='piped').out == 'piped'


def test_exec_tells_why_it_failed_and_with_which_code(cli):
    cli('run', '-d', '--name', 'ex', 'busybox', 'sleep', '1000')
    for _ in range(5):
        assert 'executable file not found' in cli('exec', 'ex', 'no-such-program', rc=127).out
        cli('exec', 'ex', 'sh', '-c', 'exit 9', rc=9)
    assert cli('exec', '-i', 'ex', 'cat', input='in').out == 'in'


def test_a_terminal_is_left_by_its_keys_and_taken_up_again(hosteld, cli, docker):
    out = drive(hosteld, [docker, 'run', '-it', '--name', 'pt', 'busybox', 'sh'],
                [(2, b'echo $((40+2))\n'), (1, b'\x10\x11')])
    assert b'42' in out
    assert cli('inspect', 'pt', '--format', '{{.State.Running}}').out == 'true'
    drive(hosteld, [docker, 'attach', 'pt'], [(1, b'exit 6\n')])
    assert cli('wait', 'pt').out == '6'


def test_cp_goes_both_ways(cli, tmp_path):
    cli('run', '-d', '--name', 'cp', 'busybox', 'sleep', '1000')
    (tmp_path / 'a').write_text('there')
    cli('cp', str(tmp_path / 'a'), 'cp:/tmp/')
    assert cli('exec', 'cp', 'cat', '/tmp/a').out == 'there'
    cli('cp', 'cp:/tmp/a', str(tmp_path / 'b'))
    assert (tmp_path / 'b').read_text() == 'there'


def test_diff_shows_what_the_instance_changed_itself(cli):
    cli('run', '--name', 'di', 'busybox', 'true')
    assert cli('diff', 'di').out == ''
    cli('run', '--name', 'di2', 'busybox', 'sh', '-c', 'echo x > /etc/x; rm /etc/group')
    assert cli('diff', 'di2').out.split('\n') == ['C /etc', 'D /etc/group', 'A /etc/x']


def test_a_log_that_was_asked_for_outlives_its_instance(hosteld):
    """As docker-py's run(remove=True): it asks for the log, waits, removes, and reads only then."""
    for _ in range(5):
        hosteld.ok('create', '--name', 'lr', 'busybox', 'sh', '-c', 'echo a line')
        hosteld.ok('start', 'lr')
        c = hosteld.docker_py().containers.get('lr')
        log = c.logs(stdout=True, stderr=True, stream=True, follow=True)
        c.wait()
        c.remove()
        assert b''.join(log) == b'a line\n'


def test_logs_f_leaves_no_reader_behind(hosteld, cli, docker):
    cli('run', '-d', '--name', 'lf', 'busybox', 'sleep', '1000')
    p = subprocess.Popen([docker, 'logs', '-f', 'lf'], env=hosteld.env)
    readers = lambda: hosteld_readers(hosteld)
    end = time.monotonic() + 10
    while not readers() and time.monotonic() < end:
        time.sleep(0.05)
    assert readers()
    p.kill()
    p.wait()
    while readers() and time.monotonic() < end:
        time.sleep(0.05)
    assert not readers()


def hosteld_readers(hosteld):
    from conftest import processes_of
    return [line for line in processes_of(str(hosteld.dir)).values() if '--logs' in line]


def test_a_start_that_does_not_fit_waits_with_its_client_or_is_refused(new_hosteld, busybox_tar):
    d = new_hosteld(config={'memory_total': '2g'})
    d.ok('load', '-q', '-i', busybox_tar)
    p = d.docker('run', '--rm', '-m', '60g', 'busybox', 'true')
    assert (p.returncode, 'not started: memory: needs 60 GiB' in p.err) == (125, True)
    assert d.docker('run', '-d', '--name', 'h1', '-m', '1g', 'busybox', 'sleep', '3').returncode == 0
    p = d.docker('run', '--rm', '-m', '1g', 'busybox', 'echo', 'got it')
    assert (p.returncode, p.out, 'memory: needs 1 GiB' in p.err) == (0, 'got it', True)
    assert d.docker('run', '-d', '--name', 'h2', '-m', '1g', 'busybox', 'sleep', '1000').returncode == 0
    p = d.docker('run', '-d', '--name', 'q1', '--label', 'hostel.queue=wait', '-m', '1g', 'busybox', 'true')
    assert p.returncode == 0
    assert d.docker('ps', '-a', '--filter', 'name=q1', '--format', '{{.State}} {{.Status}}').out.startswith(
        'created Queued (memory: needs 1 GiB')
    assert d.docker('kill', '-s', 'WINCH', 'q1').returncode == 1
    assert d.docker('stop', 'q1').returncode == 0


def test_docker_py_does_its_usual_things(hosteld):
    c = hosteld.docker_py()
    assert c.ping() and c.containers.run('busybox', 'echo hello', remove=True) == b'hello\n'
    k = c.containers.run('busybox', 'sh -c "echo a; echo b >&2; sleep 1000"', detach=True)
    assert k.exec_run('sh -c "exit 3"').exit_code == 3
    assert k.exec_run('echo x', demux=True).output == (b'x\n', None)
    assert k.stats(stream=False)['id'] == k.id
    k.kill()
    assert k.wait() == {'StatusCode': 137}
    assert k.logs(stderr=False) == b'a\n'
    k.remove()
    import docker
    with pytest.raises(docker.errors.NotFound):
        c.containers.get(k.id)
