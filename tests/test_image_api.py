# SPDX-License-Identifier: Apache-2.0
"""Images through the daemon: archives that are cut off, what an image's removal frees, sizes as docker shows them."""
import contextlib, json, os, pathlib, signal, socket, subprocess, tarfile, time

import pytest

from conftest import BUILD, free_port, need, run


def wait_for(what, timeout=60):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError('it did not come to be')


# ---- a worker that dies midway ----

SLOW_WORKER = '''#!/bin/sh
# hostel-image, but what writes an archive stops half-way and waits for its end
job=$(cat)
case "$job" in
*'"job":"save"'*|*'"op":"export"'*|*'"op":"get"'*)
    printf %s "$job" | {real} 3>{dir}/whole >/dev/null
    head -c 50000 {dir}/whole >&3
    echo $$ >{dir}/pid.new; mv {dir}/pid.new {dir}/pid
    exec sleep 600 ;;
esac
printf %s "$job" | if [ -e /proc/self/fd/3 ]; then exec {real}; else exec {real} 3>&-; fi
'''


@pytest.fixture
def half(new_hosteld, busybox_tar):
    """A hosteld whose archives stop half-way; half.worker() is the pid of the worker that does."""
    d = new_hosteld(start=False)
    libexec = d.dir / 'libexec'
    libexec.mkdir()
    for path in BUILD.glob('hostel-*'):
        if path.is_file() and path.name != 'hostel-image':
            (libexec / path.name).symlink_to(path)
    worker = libexec / 'hostel-image'
    worker.write_text(SLOW_WORKER.format(real=need('hostel-image'), dir=d.dir))
    worker.chmod(0o755)
    d.libexec = libexec
    d.start()
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('create', '--name', 'box', 'busybox')

    def pid():
        path = d.dir / 'pid'
        if not path.exists():
            return 0
        found = int(path.read_text())
        path.unlink()
        return found
    d.worker = lambda: wait_for(pid)
    return d


@pytest.mark.parametrize('path', ['/images/busybox/get', '/containers/box/export', '/containers/box/archive?path=/bin'])
def test_a_reply_whose_worker_was_killed_has_no_last_chunk(half, path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(half.socket))
        s.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        pid = half.worker()
        got = s.recv(65536)
        assert got.startswith(b'HTTP/1.1 200 ')
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ConnectionResetError):
            while more := s.recv(65536):
                got += more
    assert len(got) > 40000 and not got.endswith(b'0\r\n\r\n')
    assert 'cut off' in half.log


@pytest.mark.parametrize('client', ['hostel', 'docker'])
@pytest.mark.parametrize('argv', [('save', '-o', 'OUT', 'busybox'), ('export', '-o', 'OUT', 'box'), ('cp', 'box:/bin', 'OUT')])
def test_a_client_fails_and_leaves_no_half_made_file(half, docker, tmp_path, client, argv):
    folder = tmp_path / 'out'
    folder.mkdir()
    exe = half.cli if client == 'hostel' else docker
    p = subprocess.Popen([exe, *[str(folder / 'x') if a == 'OUT' else a for a in argv]], env=half.env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.kill(half.worker(), signal.SIGKILL)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 1, (out, err)
    if client == 'hostel':
        assert err == 'hostel: cut off: hosteld closed the connection\n' and out == ''
        assert os.listdir(folder) == []
    else:
        assert 'unexpected EOF' in err


def test_a_client_that_goes_ends_the_worker(half):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(half.socket))
        s.sendall(b'GET /images/busybox/get HTTP/1.1\r\nHost: x\r\n\r\n')
        pid = half.worker()
    wait_for(lambda: not os.path.exists(f'/proc/{pid}'))
