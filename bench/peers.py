# SPDX-License-Identifier: Apache-2.0
"""The two daemons under comparison, each private to this run: own root, socket, cgroup parent."""
import http.client, json, os, pathlib, shutil, signal, socket, subprocess, time

CONTROLLERS = ('cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost')
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def call(path, method, url, body=None):
    """One request on a connection of its own; the parsed reply."""
    c = UnixConnection(path)
    c.request(method, url, json.dumps(body) if body is not None else None, {'Content-Type': 'application/json'})
    reply = c.getresponse()
    data = reply.read()
    c.close()
    if reply.status >= 400:
        raise RuntimeError(f'{method} {url}: {reply.status} {data[:300]!r}')
    return json.loads(data) if data[:1] in (b'{', b'[') else data


def children_of(pid):
    """@pid and all its descendants."""
    parents = {}
    for p in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            parents.setdefault(int((p / 'stat').read_text().rsplit(')', 1)[1].split()[1]), []).append(int(p.name))
        except (OSError, IndexError):
            pass
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        todo += parents.get(p, [])
    return found


def unmount_below(folder):
    """Everything mounted at or below @folder, innermost first."""
    points = [line.split()[4] for line in pathlib.Path('/proc/self/mountinfo').read_text().splitlines()]
    for point in reversed([p for p in points if (p + '/').startswith(str(folder) + '/')]):
        subprocess.run(['umount', '-l', point], check=False)


def remove_tree(folder):
    """Never through a mount: what is mounted below is unmounted first, or the folder stays."""
    unmount_below(folder)
    if not any((line.split()[4] + '/').startswith(str(folder) + '/')
               for line in pathlib.Path('/proc/self/mountinfo').read_text().splitlines()):
        shutil.rmtree(folder, ignore_errors=True)


def pss_kb(pid):
    try:
        for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
            if line.startswith('Pss:'):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Daemon:
    """Base: a process, a socket, a folder."""
    name = '?'

    def __init__(self, work):
        self.work = pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.socket = str(self.work / 'engine.sock')
        self.process = None

    def wait_ready(self):
        for _ in range(400):
            try:
                call(self.socket, 'GET', '/_ping')
                return
            except (OSError, RuntimeError, http.client.HTTPException):
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError(f'{self.name} did not start: ' + (self.work / 'log').read_text()[-2000:])

    def env(self):
        return {**os.environ, 'DOCKER_HOST': 'unix://' + self.socket, 'HOSTEL_SOCKET': self.socket}

    def load(self, tar):
        subprocess.run([os.environ['BENCH_DOCKER'], 'load', '-q', '-i', tar], env=self.env(), check=True,
                       stdout=subprocess.DEVNULL)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.clean()
        remove_tree(self.work)

    def clean(self):
        """What outlived the daemon."""


class Hostel(Daemon):
    name = 'hostel'

    def __init__(self, work, build, extra=()):
        super().__init__(work)
        tag = f'hb{os.getpid() % 100000}'
        self.build = pathlib.Path(build).resolve()
        self.argv = [self.build / 'hosteld', '--root', self.work / 'root', '--run', self.work / 'run', '--socket', self.socket,
                     '--libexec', self.build, '--bridge', tag, '--nft-table', tag, '--cgroup-parent', '/' + tag, *extra]
        self.process = subprocess.Popen(self.argv, stdout=open(self.work / 'log', 'w'), stderr=subprocess.STDOUT)
        self.wait_ready()

    def stop(self):
        for i in call(self.socket, 'GET', '/hostel/v1/instances?all=true'):
            call(self.socket, 'DELETE', f'/containers/{i["id"]}?force=1&v=1')
        super().stop()

    def clean(self):
        subprocess.run([*self.argv, '--teardown'], check=False)

    def programs(self):
        """All that belongs to the engine: the daemon and its supervisors, not the payloads."""
        mine = [self.process.pid]
        for p in pathlib.Path('/proc').glob('[0-9]*'):
            try:
                args = (p / 'cmdline').read_bytes()
            except OSError:
                continue
            if b'hostel-shim' in args.split(b'\0')[0] and str(self.work).encode() in args:
                mine.append(int(p.name))
        return mine


class Dockerd(Daemon):
    name = 'dockerd'

    def __init__(self, work, programs):
        super().__init__(work)
        bins = pathlib.Path(programs)
        env = {**os.environ, 'PATH': f'{bins}/bin:{bins}/sbin:' + os.environ['PATH']}
        self.tag = f'db{os.getpid() % 100000}'
        self.process = subprocess.Popen(
            [bins / 'sbin/dockerd', '--data-root', self.work / 'root', '--exec-root', self.work / 'exec', '-H',
             'unix://' + self.socket, '--pidfile', self.work / 'pid', '--bridge', 'none', '--iptables=false',
             '--ip6tables=false', '--cgroup-parent', '/' + self.tag],
            env=env, stdout=open(self.work / 'log', 'w'), stderr=subprocess.STDOUT)
        self.wait_ready()

    def programs(self):
        """dockerd, its containerd, and the shims (which left its process tree)."""
        mine = set()
        for pid in children_of(self.process.pid):
            mine.add(pid)
        for p in pathlib.Path('/proc').glob('[0-9]*'):
            try:
                args = (p / 'cmdline').read_bytes()
            except OSError:
                continue
            if b'containerd-shim' in args.split(b'\0')[0] and str(self.work).encode() in args:
                mine.add(int(p.name))
        return sorted(mine)

    def clean(self):
        """Shims and containers go on without their daemon: by pid, those of this folder and cgroup only."""
        groups = [pathlib.Path('/sys/fs/cgroup') / c / self.tag for c in (*CONTROLLERS, 'systemd', 'unified')]
        pids = {int(p) for g in groups for f in g.glob('**/cgroup.procs') for p in f.read_text().split()}
        for pid in pids | set(self.programs()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.5)
        for g in groups:
            for d in sorted((d for d in (g, *g.glob('**')) if d.is_dir()), key=lambda d: -len(d.parts)):
                try:
                    d.rmdir()
                except OSError:
                    pass
