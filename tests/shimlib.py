# SPDX-License-Identifier: Apache-2.0
"""The daemon's side of src/shim/proto.h, for tests: starts hostel-shim as hosteld does, and talks to it."""
import array, fcntl, json, os, pathlib, shutil, socket, struct, subprocess, time

BUILD = pathlib.Path(os.environ.get('HOSTEL_BUILD', pathlib.Path(__file__).resolve().parent.parent / 'build'))
SHIM = BUILD / 'hostel-shim'
SHIM_EXEC = BUILD / 'tests/tools/shim_exec'  # the same with plain programs as payload

START, ATTACH, EXEC, SIGNAL, RESIZE, FREEZE, QUERY, BYE, CHECKPOINT, RESUME = range(1, 11)
HELLO, REPLY, STARTED, FAILED, EXITED, OOM, EXEC_STARTED, EXEC_FAILED, EXEC_EXITED, DETACHED, ATTACH_ENDED = range(64, 75)
STDIN, STDOUT, STDERR, RAW, LOGS, NO_STREAM, TTY = 1, 2, 4, 8, 16, 32, 64
IDLE, STARTING, RUNNING, ENDED = range(4)
KINDS = 'INVALID NOT_FOUND EXISTS STATE DENIED LIMIT UNAVAILABLE UNSUPPORTED CORRUPT INTERNAL'.split()

HEADER = struct.Struct('=HHI')
ATTACH_BODY = struct.Struct('=II32s')
EXEC_EVENT = struct.Struct('=65s3xii')


class ShimError(Exception):
    pass


class Message:
    def __init__(self, data):
        self.version, self.type, self.seq = HEADER.unpack_from(data)
        body = data[HEADER.size:]
        self.text = ''
        if self.type == HELLO:
            (self.phase, self.shim_pid, self.payload_pid, self.is_frozen, self.started_ns, self.code,
             self.oom) = struct.unpack('=IiiIqiI', body)
        elif self.type in (REPLY, FAILED):
            self.kind, = struct.unpack_from('=i', body)
            self.text = body[4:].decode()
        elif self.type == STARTED:
            self.pid, self.started_ns = struct.unpack('=i4xq', body)
        elif self.type == EXITED:
            self.code, self.oom, self.finished_ns = struct.unpack_from('=iIq', body)
            self.text = body[16:].decode()
        elif self.type >= EXEC_STARTED:
            name, self.code, self.pid = EXEC_EVENT.unpack_from(body)
            self.exec_id = name.split(b'\0')[0].decode()
            self.text = body[EXEC_EVENT.size:].decode()

    def __repr__(self):
        return f'Message({self.__dict__})'


class Client:
    """The far end of an attached client's socket."""

    def __init__(self, sock, raw=False):
        self.sock, self.raw, self.buf = sock, raw, b''
        sock.settimeout(20)

    def send(self, data):
        self.sock.sendall(data)

    def end(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def frames(self):
        """(stream, bytes) until the end."""
        while True:
            head = self.exactly(8)
            if not head:
                return
            stream, length = struct.unpack('>B3xI', head)
            yield stream, self.exactly(length)

    def exactly(self, n):
        data = b''
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if not part:
                assert not data, f'stream ended inside a frame: {data!r}'
                return b''
            data += part
        return data

    def read_all(self):
        """Everything until the end: raw bytes, or {1: stdout, 2: stderr}."""
        if self.raw:
            data = b''
            while part := self.sock.recv(65536):
                data += part
            return data
        out = {1: b'', 2: b''}
        for stream, data in self.frames():
            out[stream] += data
        return out

    def read_until(self, what):
        """Raw bytes (or stdout's and stderr's mixed) up to and with @what."""
        while what not in self.buf:
            if self.raw:
                part = self.sock.recv(65536)
            else:
                head = self.exactly(8)
                part = self.exactly(struct.unpack('>B3xI', head)[1]) if head else b''
            assert part, f'ended before {what!r}: {self.buf!r}'
            self.buf += part
        got, self.buf = self.buf[:self.buf.index(what) + len(what)], self.buf[self.buf.index(what) + len(what):]
        return got


class Shim:
    """One hostel-shim and the instance's folders below @base."""

    def __init__(self, base, plan=None, options=(), ident='a' * 64, kind='exec', binary=SHIM_EXEC, wrap=()):
        self.base = pathlib.Path(base)
        self.state, self.run = self.base / 'state', self.base / 'run'
        self.state.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(parents=True, exist_ok=True)
        if plan is not None:
            (self.state / 'plan.json').write_text(json.dumps(plan))
        self.events, self.seq, self.sock = [], 0, None
        self.lock = self.run / 'lock'
        lock_fd = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = self.run / 'shim.sock'
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(path))
        listener.listen(128)
        lock_copy, listen_copy = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in (lock_fd, listener.fileno()))

        def place():
            os.dup2(lock_copy, 3)
            os.dup2(listen_copy, 4)

        with open(self.state / 'shim.log', 'ab') as log:
            self.proc = subprocess.Popen(
                [*wrap, str(binary), '--id', ident, '--kind', kind, '--state-dir', str(self.state), '--run-dir',
                 str(self.run), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(3, 4), preexec_fn=place,
                start_new_session=True)
        for fd in (lock_copy, listen_copy, lock_fd):
            os.close(fd)
        listener.close()

    # ---- the connection ----

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(str(self.run / 'shim.sock'))
        self.sock.settimeout(20)
        return self.wait(HELLO)

    def disconnect(self):
        self.sock.close()

    def receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise ShimError('connection lost')
        return Message(data)

    def wait(self, kind, match=lambda m: True):
        """The first event of a type, those already received first."""
        while True:
            for i, m in enumerate(self.events):
                if m.type == kind and match(m):
                    return self.events.pop(i)
            self.events.append(self.receive())

    def send(self, kind, body=b'', fds=()):
        self.seq += 1
        packet = HEADER.pack(1, kind, self.seq) + body
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        self.sock.sendmsg([packet], anc)
        return self.seq

    def request(self, kind, body=b'', fds=()):
        seq = self.send(kind, body, fds)
        m = self.wait(REPLY, lambda m: m.seq == seq)
        if m.kind >= 0:
            raise ShimError(KINDS[m.kind], m.text)
        return m.text

    # ---- requests ----

    def start(self):
        self.request(START)
        return self.wait(STARTED)

    def attach_body(self, streams, keys=b''):
        return ATTACH_BODY.pack(streams, len(keys), keys)

    def attach(self, streams=STDOUT | STDERR, keys=b'', early=b''):
        ours, theirs = socket.socketpair()
        self.request(ATTACH, self.attach_body(streams, keys) + early, [theirs.fileno()])
        theirs.close()
        client = Client(ours, bool(streams & RAW))
        client.seq = self.seq
        return client

    def exec(self, name, process, streams=STDOUT | STDERR, client=True, keys=b'', early=b'', size=(0, 0)):
        r, w = os.pipe()
        os.close(r), os.close(w)
        fd = os.memfd_create('process')
        os.write(fd, json.dumps(process).encode())
        os.lseek(fd, 0, os.SEEK_SET)
        ours, theirs = socket.socketpair()
        body = name.encode().ljust(65, b'\0') + b'\0' * 3 + self.attach_body(streams, keys) + struct.pack('=HH', *size)
        try:
            self.request(EXEC, body + early, [fd, theirs.fileno()] if client else [fd])
        finally:
            os.close(fd)
            theirs.close()
        made = Client(ours, bool(streams & RAW)) if client else None
        if made:
            made.seq = self.seq
        return made

    def signal(self, signum, name=''):
        self.request(SIGNAL, name.encode().ljust(65, b'\0') + b'\0' * 3 + struct.pack('=i', signum))

    def resize(self, rows, cols, name=''):
        self.request(RESIZE, name.encode().ljust(65, b'\0') + b'\0' + struct.pack('=HH', rows, cols))

    def freeze(self, on):
        self.request(FREEZE, struct.pack('=I', on))

    def checkpoint(self, folder):
        """Have the state written to a folder; what the backend says of it."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return self.request(CHECKPOINT, fds=[fd])
        finally:
            os.close(fd)

    def resume(self):
        self.request(RESUME)

    def bye(self):
        self.send(BYE)

    # ---- what it leaves ----

    def log_entries(self):
        out = []
        for path in sorted((self.state / 'log').glob('json.log*'), reverse=True):
            out += [json.loads(line) for line in path.read_text().splitlines()]
        return out

    def exit_record(self):
        return json.loads((self.state / 'exit.json').read_text())

    def is_locked(self):
        fd = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(fd)

    def ended(self, timeout=10):
        """Wait for the process itself; its exit code."""
        return self.proc.wait(timeout)

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()

    def logs(self, *options):
        return subprocess.run([str(SHIM), '--logs', '--state-dir', str(self.state), *options], capture_output=True,
                              timeout=20, check=True).stdout


def deframe(data):
    """Docker's frames as [(stream, bytes), …]."""
    out = []
    while data:
        stream, length = struct.unpack('>B3xI', data[:8])
        out.append((stream, data[8:8 + length]))
        data = data[8 + length:]
    return out


def eventually(what, timeout=10):
    """Wait until @what() is true."""
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end, 'it did not happen in time'
        time.sleep(0.01)


def busybox_root(path):
    """A root file system of busybox alone."""
    path = pathlib.Path(path)
    for d in 'bin dev etc proc sys tmp root'.split():
        (path / d).mkdir(parents=True, exist_ok=True)
    if not (path / 'bin/busybox').exists():
        shutil.copy('/bin/busybox', path / 'bin/busybox')
        for name in subprocess.run(['/bin/busybox', '--list'], capture_output=True, text=True).stdout.split():
            if name != 'busybox':
                (path / 'bin' / name).symlink_to('busybox')
    return path


def container_plan(base, ident, root, cgroup, args, spec=None):
    """A plan as the engine would make it, by way of ctr_driver."""
    base = pathlib.Path(base)
    for d in 'state/rw/upper state/rw/work run'.split():
        (base / d).mkdir(parents=True, exist_ok=True)
    spec = {'Version': 1, 'Kind': 'container', 'Name': 'test', 'Entrypoint': args,
            'Env': ['PATH=/bin'], **(spec or {})}
    (base / 'spec.json').write_text(json.dumps(spec))
    (base / 'in.json').write_text(json.dumps({'id': ident, 'cgroup': cgroup}))
    oci = json.loads(subprocess.run([str(BUILD / 'tests/tools/ctr_driver'), 'plan', str(base / 'spec.json'),
                                     str(base / 'in.json')], check=True, capture_output=True).stdout)
    return {'version': 1, 'id': ident, 'name': 'test', 'kind': 'container', 'state_dir': str(base / 'state'),
            'run_dir': str(base / 'run'),
            'host': {'cgroup': cgroup, 'net': {'mode': 'none'}, 'resources': oci['linux'].get('resources', {}),
                     'rootfs': {'lower': [str(root)], 'upper': str(base / 'state/rw/upper'),
                                'work': str(base / 'state/rw/work'), 'readonly': False}},
            'guest': {'oci': oci, 'user': '', 'groups': []}}
