# SPDX-License-Identifier: Apache-2.0
"""A small hosteld that isolates nothing: the command line's counterpart in tests of the command line alone.

Commands run as plain processes of this host.  It records each request in .asked, and can be told what to answer:
  .answers[(method, path without version and query)] = (status, document)
  .hold = [reason, …]   a start tells these before it starts; with .hold_for between them; .hold_forever: never
"""
import json, os, pathlib, pty, re, signal, socket, struct, subprocess, threading, time, urllib.parse

VERSION = re.compile(r'^/v[0-9.]+')


class Instance:
    def __init__(self, id, name, body):
        self.id, self.name, self.body = id, name, body
        self.state, self.code, self.error = 'created', 0, ''
        self.log = b''          # framed
        self.streams = []       # sockets of attached clients
        self.waiters = threading.Condition()
        self.process = self.master = None
        self.sizes = []

    @property
    def tty(self):
        return bool(self.body.get('Tty'))

    @property
    def argv(self):
        return (self.body.get('Entrypoint') or []) + (self.body.get('Cmd') or ['true'])


def frame(stream, data):
    return struct.pack('>BxxxI', stream, len(data)) + data


class FakeHosteld:
    def __init__(self, path):
        self.path = str(path)
        self.instances, self.execs, self.asked, self.answers = {}, {}, [], {}
        self.images = {'busybox:latest'}
        self.hold, self.hold_for, self.hold_forever = [], 0.0, False
        self.withdrawn = []
        self.uploads = []
        self.pulled = []
        self.listener = None
        self.count = 0
        self.listen()

    def listen(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(32)
        self.conns = set()
        self.acceptor = threading.Thread(target=self.accept, args=(self.listener,), daemon=True)
        self.acceptor.start()

    def accept(self, listener):
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            self.conns.add(conn)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def close(self):
        self.die()
        for i in self.instances.values():
            if i.process and i.process.poll() is None:
                i.process.kill()

    def die(self):
        """As kill -9: connections break, instances go on."""
        self.listener.shutdown(socket.SHUT_RDWR)     # wakes the thread in accept(), which close() would not
        self.acceptor.join()
        self.listener.close()
        os.unlink(self.path)
        keep = {s for i in self.instances.values() if i.state == 'running' for s in i.streams}
        for c in self.conns - keep:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # ---- HTTP ----

    def serve(self, conn):
        f = conn.makefile('rb')
        try:
            while self.request(conn, f):
                pass
        except (OSError, ValueError):
            pass
        finally:
            self.conns.discard(conn)

    def request(self, conn, f):
        line = f.readline()
        if not line.strip():
            conn.close()
            return False
        method, target, _ = line.decode().split()
        headers = {}
        while (h := f.readline().strip()):
            k, v = h.decode().split(':', 1)
            headers[k.lower()] = v.strip()
        body = b''
        if headers.get('transfer-encoding') == 'chunked':
            while (n := int(f.readline(), 16)):
                body += f.read(n)
                f.readline()
            f.readline()
        elif headers.get('content-length'):
            body = f.read(int(headers['content-length']))
        url = urllib.parse.urlsplit(target)
        path = urllib.parse.unquote(VERSION.sub('', url.path))
        query = {k: v[-1] for k, v in urllib.parse.parse_qs(url.query, keep_blank_values=True).items()}
        doc = json.loads(body) if body and headers.get('content-type') == 'application/json' else body
        self.asked.append((method, path, query, doc))
        if (method, path) in self.answers:
            return self.reply(conn, *self.answers[method, path])
        for m, pattern, fn in ROUTES:
            found = re.fullmatch(pattern, path)
            if m == method and found:
                return fn(self, conn, query, doc, *found.groups())
        return self.reply(conn, 404, {'message': 'page not found'})

    def reply(self, conn, status, doc=None, content='application/json'):
        body = b'' if doc is None else doc if isinstance(doc, bytes) else json.dumps(doc).encode()
        conn.sendall(f'HTTP/1.1 {status} X\r\nContent-Type: {content}\r\nContent-Length: {len(body)}\r\n\r\n'.encode()
                     + body)
        return True

    def begin(self, conn, content='application/json'):
        conn.sendall(f'HTTP/1.1 200 OK\r\nContent-Type: {content}\r\nTransfer-Encoding: chunked\r\n\r\n'.encode())

    def chunk(self, conn, data):
        data = data if isinstance(data, bytes) else (json.dumps(data) + '\n').encode()
        conn.sendall(b'%x\r\n%s\r\n' % (len(data), data))

    def end(self, conn):
        conn.sendall(b'0\r\n\r\n')
        return True

    def find(self, ref):
        for i in self.instances.values():
            if ref in (i.id, i.name) or i.id.startswith(ref):
                return i

    # ---- instances ----

    def create(self, conn, query, doc):
        if doc['Image'] not in self.images and doc['Image'] + ':latest' not in self.images:
            return self.reply(conn, 404, {'message': f'No such image: {doc["Image"]}'})
        self.count += 1
        id = f'{self.count:064x}'[::-1]
        name = query.get('name') or f'made_up_{self.count}'
        if self.find(name):
            return self.reply(conn, 409, {'message': f'Conflict. The container name "/{name}" is already in use'})
        self.instances[id] = Instance(id, name, doc)
        return self.reply(conn, 201, {'Id': id, 'Warnings': []})

    def start(self, conn, query, doc, ref):
        i = self.find(ref)
        if not i:
            return self.reply(conn, 404, {'message': f'No such container: {ref}'})
        self.begin(conn, 'application/x-ndjson')
        if i.state == 'running':
            self.chunk(conn, {'started': True, 'already': True})
            return self.end(conn)
        if query.get('hold') == 'queue' and self.hold:
            i.state = 'queued'
            self.chunk(conn, {'waiting': self.hold[0]})
            self.chunk(conn, {'queued': True})
            return self.end(conn)
        if self.hold and query.get('no_wait'):
            self.chunk(conn, {'error': f'not started: {self.hold[0]}', 'kind': 'LIMIT'})
            return self.end(conn)
        i.state = 'queued'
        for reason in self.hold:
            self.chunk(conn, {'waiting': reason})
            time.sleep(self.hold_for)
        while self.hold_forever:
            time.sleep(0.02)
            conn.setblocking(False)
            try:
                if conn.recv(1, socket.MSG_PEEK) == b'':
                    raise ConnectionResetError
            except BlockingIOError:
                pass
            except OSError:
                self.withdrawn.append(i.name)
                i.state = 'created'
                return False
            conn.setblocking(True)
        error = self.launch(i)
        self.chunk(conn, {'error': error, 'kind': 'INVALID'} if error else {'started': True, 'already': False})
        return self.end(conn)

    def launch(self, i):
        env = {**os.environ, **dict(e.split('=', 1) for e in i.body.get('Env') or [])}
        slave = None
        try:
            if i.tty:
                i.master, slave = pty.openpty()
                i.process = subprocess.Popen(i.argv, stdin=slave, stdout=slave, stderr=slave, env=env,
                                             start_new_session=True)
            else:
                i.process = subprocess.Popen(i.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                                             stdin=subprocess.PIPE if i.body.get('OpenStdin') else subprocess.DEVNULL,
                                             start_new_session=True)
        except FileNotFoundError:
            i.state = 'created'
            return f'exec: "{i.argv[0]}": executable file not found in $PATH'
        except PermissionError:
            i.state = 'created'
            return f'exec: "{i.argv[0]}": permission denied'
        finally:
            if slave is not None:
                os.close(slave)
        i.state = 'running'
        threads = [threading.Thread(target=self.pump, args=(i, n), daemon=True)
                   for n in ([0] if i.tty else [1, 2])]
        for t in threads:
            t.start()
        for s in i.streams:
            threading.Thread(target=self.feed, args=(i, s), daemon=True).start()
        threading.Thread(target=self.reap, args=(i, threads), daemon=True).start()

    def pump(self, i, stream):
        fd = i.master if stream == 0 else (i.process.stdout if stream == 1 else i.process.stderr).fileno()
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b''
            if not data:
                return
            out = data if stream == 0 else frame(stream, data)
            i.log += out
            for s in list(i.streams):
                try:
                    s.sendall(out)
                except OSError:
                    i.streams.remove(s)

    def feed(self, i, s):
        while True:
            try:
                data = s.recv(65536)
            except OSError:
                return
            if not data:
                if not i.tty and i.process.stdin:
                    i.process.stdin.close()
                return
            try:
                if i.tty:
                    os.write(i.master, data)
                elif i.process.stdin:
                    i.process.stdin.write(data)
                    i.process.stdin.flush()
            except (OSError, ValueError):
                return

    def reap(self, i, threads):
        code = i.process.wait()
        for t in threads:
            t.join(5)
        i.code = code if code >= 0 else 128 - code
        i.state = 'exited'
        for s in i.streams:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        i.streams = []
        if i.body.get('HostConfig', {}).get('AutoRemove'):
            self.instances.pop(i.id, None)
        with i.waiters:
            i.waiters.notify_all()

    def attach(self, conn, query, doc, ref):
        i = self.find(ref)
        if not i:
            return self.reply(conn, 404, {'message': f'No such container: {ref}'})
        conn.sendall(b'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n'
                     b'Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
        i.streams.append(conn)
        if i.state == 'running':
            self.feed(i, conn)
        return False

    def wait(self, conn, query, doc, ref):
        i = self.find(ref)
        if not i:
            return self.reply(conn, 404, {'message': f'No such container: {ref}'})
        self.begin(conn)
        fresh = query.get('condition') in ('next-exit', 'removed')
        with i.waiters:
            while i.state in ('queued', 'running') or (fresh and i.state == 'created'):
                i.waiters.wait(0.1)
        self.chunk(conn, {'StatusCode': i.code})
        return self.end(conn)

    def inspect(self, conn, query, doc, ref):
        i = self.find(ref)
        if not i:
            return self.reply(conn, 404, {'message': f'No such container: {ref}'})
        return self.reply(conn, 200, {
            'Id': i.id, 'Name': '/' + i.name, 'Config': {'Tty': i.tty, 'Image': i.body['Image']},
            'State': {'Status': i.state, 'Running': i.state == 'running', 'ExitCode': i.code, 'Error': i.error}})

    def logs(self, conn, query, doc, ref):
        i = self.find(ref)
        if not i:
            return self.reply(conn, 404, {'message': f'No such container: {ref}'})
        return self.reply(conn, 200, i.log, 'application/vnd.docker.multiplexed-stream')

    def kill(self, conn, query, doc, ref):
        i = self.find(ref)
        if not i:
            return self.reply(conn, 404, {'message': f'No such container: {ref}'})
        if i.state != 'running':
            return self.reply(conn, 409, {'message': f'container {ref} is not running'})
        s = query['signal']
        os.killpg(i.process.pid, int(s) if s.isdigit() else getattr(signal, 'SIG' + s.removeprefix('SIG')))
        return self.reply(conn, 204)

    def stop(self, conn, query, doc, ref):
        i = self.find(ref)
        if not i:
            return self.reply(conn, 404, {'message': f'No such container: {ref}'})
        if i.state != 'running':
            return self.reply(conn, 304)
        os.killpg(i.process.pid, signal.SIGTERM)
        i.process.wait()
        return self.reply(conn, 204)

    def resize(self, conn, query, doc, ref):
        i = self.find(ref)
        i.sizes.append((int(query['h']), int(query['w'])))
        return self.reply(conn, 200)

    def remove(self, conn, query, doc, ref):
        i = self.find(ref)
        if not i:
            return self.reply(conn, 404, {'message': f'No such container: {ref}'})
        if i.state == 'running' and query.get('force') != '1':
            return self.reply(conn, 409, {'message': f'cannot remove container "{ref}": container is running'})
        if i.process and i.process.poll() is None:
            os.killpg(i.process.pid, signal.SIGKILL)
        del self.instances[i.id]
        return self.reply(conn, 204)

    def list(self, conn, query, doc):
        return self.reply(conn, 200, [
            {'id': i.id, 'name': i.name, 'kind': 'container', 'image': i.body['Image'], 'state': i.state,
             'status': i.state, 'reason': self.hold[0] if i.state == 'queued' and self.hold else None,
             'demand': {'cpu_milli': 0, 'memory_bytes': 0},
             'limit': {'cpu_milli': i.body.get('HostConfig', {}).get('NanoCpus', 0) // 1000000,
                       'memory_bytes': i.body.get('HostConfig', {}).get('Memory', 0)},
             'address': '10.88.0.2' if i.state == 'running' else None, 'ports': [], 'uid': 0, 'user': 'root',
             'exit_code': i.code, 'created_ns': int((time.time() - 61) * 1e9)}
            for i in reversed(self.instances.values()) if query.get('all') in ('true', '1') or i.state != 'exited'])

    def exec_create(self, conn, query, doc, ref):
        i = self.find(ref)
        if not i or i.state != 'running':
            return self.reply(conn, 409 if i else 404, {'message': f'container {ref} is not running'})
        id = f'{len(self.execs) + 1:064x}'
        self.execs[id] = Instance(id, id, doc)
        return self.reply(conn, 201, {'Id': id})

    def exec_start(self, conn, query, doc, id):
        x = self.execs[id]
        x.body['OpenStdin'] = x.body.get('AttachStdin')
        error = None
        if doc['Detach']:
            error = self.launch(x)
            return self.reply(conn, 400, {'message': error}) if error else self.reply(conn, 200)
        probe = subprocess.run(['sh', '-c', 'command -v "$0"', x.argv[0]], capture_output=True)
        if probe.returncode:
            return self.reply(conn, 400, {'message': f'exec: "{x.argv[0]}": executable file not found in $PATH'})
        conn.sendall(b'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
        x.streams.append(conn)
        self.launch(x)
        return False

    def exec_inspect(self, conn, query, doc, id):
        x = self.execs[id]
        return self.reply(conn, 200, {'ID': id, 'Running': x.state == 'running', 'ExitCode': x.code})

    # ---- images ----

    def image_list(self, conn, query, doc):
        return self.reply(conn, 200, [{'Id': 'sha256:' + 'ab' * 32, 'RepoTags': [t], 'Created': int(time.time()) - 7200,
                                       'Size': 3 << 20} for t in sorted(self.images)])

    def image_create(self, conn, query, doc):
        if 'fromSrc' in query:
            self.uploads.append(doc)
            self.images.add(f'{query["repo"]}:{query["tag"]}')
            return self.reply(conn, 200, {'status': 'sha256:' + 'cd' * 32})
        ref = query['fromImage'] + (':' + query['tag'] if query.get('tag') else '')
        self.pulled.append(ref)
        self.begin(conn)
        self.chunk(conn, {'status': f'Pulling from {query["fromImage"]}', 'id': query.get('tag', '')})
        if 'absent' in ref:
            self.chunk(conn, {'errorDetail': {'message': f'{ref}: not found'}, 'error': f'{ref}: not found'})
            return self.end(conn)
        for n in (0, 1 << 20, 2 << 20):
            self.chunk(conn, {'status': 'Downloading', 'id': '0123456789ab',
                              'progressDetail': {'current': n, 'total': 2 << 20}})
        self.chunk(conn, {'status': 'Pull complete', 'id': '0123456789ab', 'progressDetail': {}})
        self.images.add(ref)
        return self.end(conn)

    def load(self, conn, query, doc):
        self.uploads.append(doc)
        self.images.add('loaded:1')
        return self.reply(conn, 200, {'stream': 'Loaded image: loaded:1\n'})


def route(method, pattern, fn):
    return method, pattern.replace('REF', '([^/]+)'), fn


F = FakeHosteld
ROUTES = [
    route('GET', '/_ping', lambda s, c, q, d: s.reply(c, 200, b'OK', 'text/plain')),
    route('POST', '/containers/create', F.create), route('POST', '/hostel/v1/instances/REF/start', F.start),
    route('POST', '/containers/REF/attach', F.attach), route('POST', '/containers/REF/wait', F.wait),
    route('GET', '/containers/REF/json', F.inspect), route('GET', '/containers/REF/logs', F.logs),
    route('POST', '/containers/REF/kill', F.kill), route('POST', '/containers/REF/stop', F.stop),
    route('POST', '/containers/REF/resize', F.resize), route('DELETE', '/containers/REF', F.remove),
    route('GET', '/hostel/v1/instances', F.list), route('POST', '/containers/REF/exec', F.exec_create),
    route('POST', '/exec/REF/start', F.exec_start), route('GET', '/exec/REF/json', F.exec_inspect),
    route('GET', '/images/json', F.image_list), route('POST', '/images/create', F.image_create),
    route('POST', '/images/load', F.load),
]
