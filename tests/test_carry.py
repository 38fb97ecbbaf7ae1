# SPDX-License-Identifier: Apache-2.0
"""Two hostel-migrate without daemons: what goes from one to the other, and what does not."""
import contextlib, hashlib, json, os, pathlib, socket, stat, subprocess

import pytest

from conftest import BUILD, need, run, waiter

wait_for = waiter(60)
MINUTE = 60


class Side:
    """One hostel-migrate: say() gives it an order, next() takes its next line."""

    def __init__(self, root, job, connection=None):
        job_fd = os.memfd_create('job')
        os.write(job_fd, json.dumps({'root': str(root), **job}).encode())
        os.lseek(job_fd, 0, os.SEEK_SET)
        out, out_w = os.pipe()
        control, self.control = os.pipe()
        want = [job_fd, out_w, 2, control] + ([connection.fileno()] if connection else [])
        self.lines, self.process = os.fdopen(out, 'r'), self._start(want)
        for fd in (job_fd, out_w, control):
            os.close(fd)

    @staticmethod
    def _start(want):
        # Descriptors 0 to 3 or 4, wherever they are here: away first, then into place.
        high = [os.dup(fd) for fd in want]
        moved = []
        for n, fd in enumerate(high):
            to = 200 + n
            os.dup2(fd, to)
            os.close(fd)
            moved.append(to)
        script = 'exec "$0" ' + ' '.join(f'{n}<&{fd}' if n in (0, 3, 4) else f'{n}>&{fd}'
                                         for n, fd in enumerate(moved))
        p = subprocess.Popen(['/bin/bash', '-c', script, str(need('hostel-migrate'))], pass_fds=moved)
        for fd in moved:
            os.close(fd)
        return p

    def say(self, **order):
        os.write(self.control, json.dumps(order).encode() + b'\n')

    def next(self, *keys):
        """The next line that has one of these members."""
        for line in self.lines:
            m = json.loads(line)
            if not keys or any(k in m for k in keys):
                return m
        return None

    def end(self):
        with contextlib.suppress(OSError):
            os.close(self.control)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.lines.close()


@pytest.fixture
def host(tmp_path, root_only):
    """Function name → (root, certificate)."""
    def make(name):
        root = tmp_path / name
        (root / 'tmp').mkdir(parents=True)
        p = run(BUILD / 'hostel-image', input=json.dumps({'job': 'identity', 'root': str(root)}))
        return root, json.loads(p.out)['done']['certificate']
    return make


@pytest.fixture
def pair(host, tmp_path):
    """Function that starts both sides; what each of them trusts can be said."""
    sides = []

    def make(trees, tls=True, send=None, receive=None):
        (a, a_pem), (b, b_pem) = host('a'), host('b')
        (b / 'tmp/in').mkdir()
        for name, path in trees.items():
            assert run('cp', '-a', path, a / name).returncode == 0
        if tls:
            door = socket.create_server(('127.0.0.1', 0))
            to = f'tcp+tls://127.0.0.1:{door.getsockname()[1]}'
        else:
            door = socket.socket(socket.AF_UNIX)
            door.bind(str(b / 'door'))
            door.listen()
            to = f'unix://{b}/door'
        sender = Side(a, {'job': 'send', 'to': to, 'peers': [b_pem], 'trees': {n: n for n in trees}, **(send or {})})
        sides.append(sender)
        connection, _ = door.accept()
        receiver = Side(b, {'job': 'receive', 'tls': tls, 'peers': [a_pem], 'folder': str(b / 'tmp/in'),
                            **(receive or {})}, connection)
        connection.close()
        door.close()
        sides.append(receiver)
        sender.root, receiver.root = a, b
        return sender, receiver
    yield make
    for s in sides:
        s.end()


def upper(folder):
    """A folder as overlayfs writes one."""
    folder.mkdir()
    os.chmod(folder, 0o751)
    (folder / 'file').write_bytes(b'x' * 200000)
    os.chown(folder / 'file', 1000, 1001)
    os.chmod(folder / 'file', 0o4711)
    os.link(folder / 'file', folder / 'link')
    os.symlink('/etc/passwd', folder / 'symlink')
    (folder / 'sub').mkdir()
    os.setxattr(folder / 'sub', 'trusted.overlay.opaque', b'y')
    os.setxattr(folder / 'sub', 'user.note', b'n')
    os.mknod(folder / 'gone', stat.S_IFCHR, 0)
    os.mknod(folder / 'disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))
    with open(folder / 'sparse', 'wb') as f:
        f.truncate(64 << 20)
        f.seek(32 << 20)
        f.write(b'middle')
    return folder


@pytest.mark.parametrize('tls', [True, False])
def test_words_and_trees_go_over_and_come_out_as_they_were(pair, tmp_path, tls):
    s, r = pair({'rw': upper(tmp_path / 'upper')}, tls)
    assert ('peer' in s.next('linked')['linked']) and r.next('linked')
    r.say(expect={'rw': True})
    r.say(say={'say': 'ready'})
    assert s.next('heard') == {'heard': {'say': 'ready'}}
    s.say(say={'say': 'offer', 'big': 'y' * 100000})
    assert len(r.next('heard')['heard']['big']) == 100000
    s.say(send='rw')
    sent, got = s.next('sent', 'error'), r.next('got', 'error')
    assert sent['sent'] == got['got']
    assert got['got']['bytes'] < 1 << 20, 'holes are not sent'
    to = r.root / 'tmp/in/rw'
    st = os.lstat(to / 'file')
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode), st.st_size) == (1000, 1001, 0o4711, 200000)
    assert os.lstat(to / 'link').st_ino == st.st_ino
    assert os.readlink(to / 'symlink') == '/etc/passwd'
    assert os.getxattr(to / 'sub', 'trusted.overlay.opaque') == b'y' and os.getxattr(to / 'sub', 'user.note') == b'n'
    assert stat.S_ISCHR(os.lstat(to / 'gone').st_mode) and os.lstat(to / 'gone').st_rdev == 0
    assert not (to / 'disk').exists(), 'a device of the host is none of its business'
    assert stat.S_IMODE(os.lstat(to).st_mode) == 0o751
    assert os.stat(to / 'sparse').st_size == 64 << 20 and os.stat(to / 'sparse').st_blocks * 512 < 1 << 20
    s.say(end=True)
    assert s.next() == {'done': {}} and s.process.wait(MINUTE) == 0
    assert r.next('error')['error']['text'] == 'the other side hung up'


def test_named_files_of_a_folder_go_over(pair, tmp_path):
    blobs = tmp_path / 'blobs'
    blobs.mkdir()
    names = {hashlib.sha256(n.encode()).hexdigest(): n.encode() for n in 'abc'}
    for name, data in names.items():
        (blobs / name).write_bytes(data)
    s, r = pair({'blobs': blobs})
    r.next('linked')
    r.say(expect={'blobs': True})
    r.say(say={'say': 'need'})
    s.next('heard')
    want = sorted(names)[:2]
    s.say(send='blobs', files=want)
    assert r.next('got', 'error')['got']['tree'] == 'blobs'
    assert sorted(p.name for p in (r.root / 'tmp/in/blobs').iterdir()) == want


def test_bandwidth_is_kept(pair, tmp_path):
    big = tmp_path / 'big'
    big.write_bytes(os.urandom(1 << 20))
    s, r = pair({'big': big}, send={'bandwidth': 1 << 20})
    r.next('linked')
    r.say(expect={'big': True})
    r.say(say={'say': 'ready'})
    s.next('heard')
    before = os.times().elapsed
    s.say(send='big')
    assert s.next('sent', 'error')['sent'] and os.times().elapsed - before > 0.6
    assert (r.next('got', 'error')['got'])
    assert (r.root / 'tmp/in/big/big').read_bytes() == big.read_bytes()


def test_what_nobody_asked_for_is_refused_and_the_sender_hears_why(pair, tmp_path):
    s, r = pair({'rw': upper(tmp_path / 'upper')})
    s.next('linked')
    s.say(send='rw')
    assert r.next('error')['error'] == {'kind': 'CORRUPT', 'text': 'the other side sends data that nobody asked for'}
    text = s.next('error')['error']['text']
    assert 'sends data that nobody asked for' in text or text == 'the connection was cut'
    assert not list((r.root / 'tmp/in').iterdir())


@pytest.mark.parametrize('send, receive', [({'version': 0}, {}), ({}, {'version': 0})])
def test_an_older_version_is_refused_in_one_line_on_both_sides(pair, send, receive):
    s, r = pair({}, send=send, receive=receive)
    for side in (s, r):
        e = side.next('error', 'linked')['error']
        assert e['kind'] == 'UNSUPPORTED' and 'version 0 of the migration protocol' in e['text'] and \
            '\n' not in e['text']
        assert side.process.wait(MINUTE) == 1


@pytest.mark.parametrize('who', ['send', 'receive'])
def test_a_certificate_that_is_not_trusted_is_refused_and_both_sides_say_so(pair, host, who):
    _, other = host('other')
    s, r = pair({}, **{who: {'peers': [other]}})
    refuses, refused = (s, r) if who == 'send' else (r, s)
    e = refuses.next('error', 'linked')['error']
    assert e['kind'] == 'DENIED' and 'is not trusted here' in e['text']
    e = refused.next('error')['error']
    assert e['kind'] == 'DENIED' and "does not trust this host's certificate" in e['text']


def test_a_socket_of_somebody_else_than_root_is_refused(host, tmp_path):
    b, _ = host('b')
    (b / 'tmp/in').mkdir()
    os.chmod(tmp_path, 0o755)
    os.chmod(tmp_path.parent, 0o755)
    path = f'/tmp/hostel-door-{os.getpid()}'
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    os.chmod(path, 0o777)
    door.listen()
    p = subprocess.Popen(['/usr/bin/python3', '-c', f'''
import os, socket
os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.connect({path!r}); s.recv(1)'''])
    try:
        connection, _ = door.accept()
        r = Side(b, {'job': 'receive', 'tls': False, 'peers': [], 'folder': str(b / 'tmp/in')}, connection)
        connection.close()
        e = r.next('error', 'linked')['error']
        assert e['kind'] == 'DENIED' and 'not root' in e['text']
        r.end()
    finally:
        os.unlink(path)
        p.kill()
        p.wait()


def test_a_full_disk_at_the_receiver_is_told_to_the_sender(pair, tmp_path):
    big = tmp_path / 'big'
    big.write_bytes(os.urandom(8 << 20))
    s = r = None
    try:
        s, r = pair({'big': big}, receive={'folder': str(small(tmp_path))})
        r.next('linked')
        r.say(expect={'big': True})
        r.say(say={'say': 'ready'})
        s.next('heard')
        s.say(send='big')
        e = r.next('error', 'got')['error']
        assert e['kind'] == 'LIMIT' and 'No space left' in e['text']
        e = s.next('error', 'sent')
        while 'sent' in e:
            e = s.next('error')
        assert 'No space left' in e['error']['text'] or e['error']['text'] == 'the connection was cut'
    finally:
        for side in (s, r):
            side and side.end()
        run('umount', tmp_path / 'small')


def small(tmp_path):
    folder = tmp_path / 'small'
    folder.mkdir()
    p = run('mount', '-t', 'tmpfs', '-o', 'size=2m', 'none', folder)
    assert p.returncode == 0, p.err
    return folder


def test_a_worker_sees_nothing_but_its_folder(pair, tmp_path):
    s, r = pair({'rw': upper(tmp_path / 'upper')})
    for side in (s, r):
        side.next('linked')
        pid = side.process.pid
        names = set(os.listdir(f'/proc/{pid}/root'))
        assert names == ({'rw'} if side is s else set())
        assert os.readlink(f'/proc/{pid}/ns/net') != os.readlink('/proc/self/ns/net')
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
        assert 'Seccomp:\t2' in status and 'NoNewPrivs:\t1' in status
