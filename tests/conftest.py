# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration tests: a private hosteld, its clients, images, a registry, and a check that
nothing is left behind.

HOSTEL_BUILD   the build directory (default ./build)
HOSTEL_CACHE   where images made for tests are kept (default BUILD/cache)
HOSTEL_KERNEL_DEB  Debian's cloud kernel (default CACHE/kernel.deb, fetched)
HOSTEL_SHARED  where the Docker Engine API's specification is (default ../shared)
"""
import contextlib, glob, http.client, json, os, pathlib, re, shutil, signal, socket, subprocess, sys, tempfile, time

import pytest

# A shell that starts us in the background has SIGINT ignored, and what we start would inherit that: Ctrl-C is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('HOSTEL_BUILD', ROOT / 'build')).resolve()
CACHE = pathlib.Path(os.environ.get('HOSTEL_CACHE', BUILD / 'cache'))
SHARED = pathlib.Path(os.environ.get('HOSTEL_SHARED', ROOT.parent / 'shared'))
sys.path.insert(0, str(ROOT / 'tests'))

PROGRAMS = {'hosteld': 'daemon', 'hostel-image': 'image', 'hostel-shim': 'shim', 'hostel-guest': 'guest',
            'hostel': 'cli', 'hostel-oci': 'oci', 'hostel-migrate': 'migrate'}


def pytest_configure(config):
    config.addinivalue_line('markers', 'slow: takes more than a minute (make check-slow)')
    find_kernel()


def find_kernel():
    """HOSTEL_KERNEL_DEB: Debian's cloud kernel, fetched once into CACHE; tests skip without it."""
    deb = pathlib.Path(os.environ.setdefault('HOSTEL_KERNEL_DEB', str(CACHE / 'kernel.deb')))
    if not deb.exists() and deb.parent == CACHE and os.geteuid() == 0:
        run(ROOT / 'tools/fetch.sh', 'kernel', CACHE, timeout=300)


def waiter(default, pause=0.05):
    """wait_for(what, timeout=default, text): what @what gives once that is true; fails in these words at its time's end."""
    def wait_for(what, timeout=default, text='it did not come to be'):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            value = what()
            if value:
                return value
            time.sleep(pause)
        raise AssertionError(text)
    return wait_for


def program(name):
    """Path of a built program; None when this build has none."""
    for path in (BUILD / name,):
        if path.is_file():
            return path
    return None


def need(name):
    path = program(name)
    if not path:
        pytest.skip(f'{name} is not built in {BUILD}')
    return path


def run(*argv, **kw):
    """A program, its text, no exception; .out and .err are stripped."""
    kw.setdefault('timeout', 120)
    kw.setdefault('stdin', None if 'input' in kw else subprocess.DEVNULL)
    if kw['stdin'] is None:
        del kw['stdin']
    p = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors='replace', **kw)
    p.out, p.err = p.stdout.strip(), p.stderr.strip()
    return p


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


# ---- what a test must not leave ----

def processes_of(mark):
    """Processes whose command line or environment-free arguments name `mark`: {pid: command line}."""
    found = {}
    for d in glob.glob('/proc/[0-9]*'):
        with contextlib.suppress(OSError):
            line = pathlib.Path(d, 'cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace')
            if mark in line and int(d[6:]) != os.getpid():
                found[int(d[6:])] = line
    return found


def mounts_of(mark):
    return [l.split()[4] for l in pathlib.Path('/proc/self/mountinfo').read_text().splitlines() if mark in l]


def cgroups_of(name):
    return [p for p in glob.glob(f'/sys/fs/cgroup/{name}*') + glob.glob(f'/sys/fs/cgroup/*/{name}*')]


def cgroup_processes(name):
    pids = set()
    for top in cgroups_of(name):
        for p in glob.glob(f'{top}/**/cgroup.procs', recursive=True):
            with contextlib.suppress(OSError):
                pids |= set(map(int, pathlib.Path(p).read_text().split()))
    return pids


def links():
    return set(os.listdir('/sys/class/net'))


def tables():
    return set(re.findall(r'^table (.*)$', run('nft', 'list', 'tables').out, re.M))


def loops_of(mark):
    return [l for l in run('losetup', '-a').out.splitlines() if mark in l]


class Hosteld:
    """A hosteld of this test's own: every name that the host sees carries this process's pid."""
    count = 0

    def __init__(self, *options, config=None):
        Hosteld.count += 1
        self.exe, self.cli = need('hosteld'), need('hostel')
        self.tag = f'{os.getpid()}n{Hosteld.count}'
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f'hostel-{self.tag}-', dir='/tmp'))
        self.root, self.run_dir = self.dir / 'root', self.dir / 'run'
        self.socket = self.run_dir / 'hostel.sock'
        self.bridge, self.table = f'h{self.tag}', f'hostel_{self.tag}'
        self.cgroup = f'hostel-{self.tag}'
        n = os.getpid() * 16 + Hosteld.count
        self.subnet = f'10.{128 + n // 256 % 64}.{n % 256}.0/24'
        self.options = [str(o) for o in options]
        if config is not None:
            path = self.dir / 'hosteld.json'
            path.write_text(json.dumps(config))
            self.options += ['--config', str(path)]
        self.before_links, self.before_tables = links(), tables()
        self.seen_bridges = set()
        self.process = None
        self.root.mkdir()
        self.run_dir.mkdir()
        self.libexec = self._libexec()

    def _libexec(self):
        """One folder that has all helpers, as an installation has."""
        if all((BUILD / n).exists() for n in ('hostel-shim', 'hostel-image')):
            return BUILD
        folder = self.dir / 'libexec'
        folder.mkdir()
        for name in PROGRAMS:
            if program(name):
                (folder / name).symlink_to(program(name))
        return folder

    @property
    def argv(self):
        return [str(self.exe), '--root', str(self.root), '--run', str(self.run_dir), '--socket', str(self.socket),
                '--bridge', self.bridge, '--subnet', self.subnet, '--cgroup-parent', '/' + self.cgroup,
                '--nft-table', self.table, '--libexec', str(self.libexec), *self.options]

    @property
    def log_path(self):
        return self.dir / 'hosteld.log'

    @property
    def log(self):
        return self.log_path.read_text(errors='replace') if self.log_path.exists() else ''

    def start(self, timeout=20):
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f'hosteld ended with {self.process.returncode}:\n{self.log[-3000:]}')
            with contextlib.suppress(OSError):
                if self.api('GET', '/_ping').status == 200:
                    return self
            time.sleep(0.02)
        raise RuntimeError(f'hosteld does not answer:\n{self.log[-3000:]}')

    def kill(self):
        """kill -9 and reap: what ran goes on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=20):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout)

    # ---- clients ----

    @property
    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(('DOCKER_', 'HOSTEL_SOCKET'))}
        return {**env, 'HOSTEL_SOCKET': str(self.socket), 'DOCKER_HOST': f'unix://{self.socket}',
                'DOCKER_CONFIG': str(self.dir / 'docker-config')}

    def hostel(self, *args, **kw):
        return run(self.cli, *args, env=self.env, **kw)

    def ok(self, *args, **kw):
        """hostel that must succeed; its stdout, stripped."""
        p = self.hostel(*args, **kw)
        assert p.returncode == 0, f'hostel {" ".join(map(str, args))}: {p.returncode}\n{p.out}\n{p.err}'
        return p.out

    def docker(self, *args, **kw):
        exe = docker_program()
        return run(exe, *args, env=self.env, **kw)

    def popen(self, *args, **kw):
        kw.setdefault('stdin', subprocess.DEVNULL)
        return subprocess.Popen([str(self.cli), *map(str, args)], env=self.env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **kw)

    def api(self, method, path, body=None, headers=None, timeout=60):
        c = UnixHTTP(str(self.socket), timeout)
        try:
            data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
            head = {'Content-Type': 'application/json'} if data is not None else {}
            c.request(method, path, data, {**head, **(headers or {})})
            r = c.getresponse()
            return Answer(r.status, dict(r.getheaders()), r.read())
        finally:
            c.close()

    def docker_py(self):
        docker = pytest.importorskip('docker')
        return docker.DockerClient(base_url=f'unix://{self.socket}', version='auto', timeout=60)

    # ---- cleaning ----

    def clear(self):
        """Remove every instance."""
        if not self.process or self.process.poll() is not None:
            return
        for i in self.api('GET', '/hostel/v1/instances?all=true').json:
            self.api('DELETE', f'/containers/{i["id"]}?force=1&v=1')
        for n in self.api('GET', '/networks?filters={"type":["custom"]}').json:
            self.seen_bridges.add(f'br-{n["Id"][:12]}')
            self.api('DELETE', f'/networks/{n["Id"]}')

    def leftovers(self):
        """What is there of this daemon; [] is how it must end."""
        left = [f'process {pid}: {line}' for pid, line in processes_of(str(self.dir)).items()]
        left += [f'process {pid} in its cgroup' for pid in cgroup_processes(self.cgroup)]
        left += [f'mount {m}' for m in mounts_of(str(self.dir))]
        left += [f'loop device {l}' for l in loops_of(str(self.dir))]
        left += [f'cgroup {c}' for c in cgroups_of(self.cgroup)]
        left += [f'interface {l}' for l in links() - self.before_links if l == self.bridge or self._is_ours(l)]
        left += [f'interface {l}' for l in self.user_bridges() if l in links()]
        left += [f'nft table {t}' for t in tables() if self.table in t]
        return left

    def user_bridges(self):
        """Bridges of the networks that its folder knows; a removed network's file goes last."""
        return self.seen_bridges | {f'br-{p.stem[:12]}' for p in (self.root / 'networks').glob('*.json')}

    def _is_ours(self, link):
        with contextlib.suppress(OSError):
            return os.path.basename(os.readlink(f'/sys/class/net/{link}/master')) == self.bridge
        return False

    def teardown(self):
        """End it and everything of it. Return: what it left by itself before force was used."""
        with contextlib.suppress(Exception):
            self.clear()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        run(*self.argv, '--teardown')
        end = time.monotonic() + 5
        while self.leftovers() and time.monotonic() < end:
            time.sleep(0.05)
        left = self.leftovers()
        self._force()
        return left

    def _force(self):
        if self.process and self.process.poll() is None:
            self.kill()
        for pid in list(processes_of(str(self.dir))) + list(cgroup_processes(self.cgroup)):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        for m in reversed(mounts_of(str(self.dir))):
            run('umount', '-l', m)
        for l in loops_of(str(self.dir)):
            run('losetup', '-d', l.split(':')[0])
        for top in cgroups_of(self.cgroup):
            for d, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(d)
        for l in ({self.bridge} | self.user_bridges()) & links():
            run('ip', 'link', 'del', l)
        for t in tables():
            if self.table in t:
                run('nft', 'delete', 'table', *t.split())
        shutil.rmtree(self.dir, ignore_errors=True)


def docker_program():
    """A docker CLI: $HOSTEL_DOCKER, the one in PATH, or Debian sid's, fetched."""
    for path in (os.environ.get('HOSTEL_DOCKER'), shutil.which('docker')):
        if path and os.access(path, os.X_OK):
            return path
    p = run(ROOT / 'tools/fetch.sh', 'docker-cli', CACHE, timeout=300)
    if p.returncode:
        pytest.skip(f'there is no docker CLI: {p.err[-200:]}')
    return p.out.splitlines()[-1]


# ---- fixtures ----

@pytest.fixture(scope='session')
def build():
    return BUILD


@pytest.fixture(scope='session')
def root_only():
    if os.geteuid():
        pytest.skip('needs root')


@pytest.fixture(scope='session')
def images():
    """Function name → path of an image archive made by tools/mkimage.sh, kept in the cache."""
    def get(name):
        path = CACHE / f'{name}.tar'
        if not path.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            p = run(ROOT / 'tools/mkimage.sh', name, path, timeout=600)
            if p.returncode:
                pytest.fail(f'mkimage.sh {name}: {p.err[-2000:]}')
        return path
    return get


@pytest.fixture(scope='session')
def busybox_tar(images):
    return images('busybox')


@pytest.fixture
def new_hosteld(root_only):
    """Function that starts a private hosteld with further options; each must leave nothing."""
    made = []

    def make(*options, config=None, start=True):
        made.append(Hosteld(*options, config=config))
        return made[-1].start() if start else made[-1]
    yield make
    left = {d.tag: d.teardown() for d in reversed(made)}
    assert not any(left.values()), f'left behind: {left}'


@pytest.fixture
def own_libexec(new_hosteld, busybox_tar):
    """
    Function that starts a hosteld with copies of the programs, and busybox.  A script may stand for a program, by its
    name; {real} in it is the true one, {dir} the daemon's folder.
    """
    def make(**scripts):
        d = new_hosteld(start=False)
        d.libexec = d.dir / 'libexec'
        d.libexec.mkdir(exist_ok=True)
        for path in [p for p in BUILD.glob('hostel-*') if p.is_file()]:
            if path.name not in scripts:
                shutil.copy(path, d.libexec)
                continue
            (d.libexec / path.name).write_text(scripts[path.name].format(real=path, dir=d.dir))
            (d.libexec / path.name).chmod(0o755)
        d.start()
        d.ok('load', '-q', '-i', busybox_tar)
        return d
    return make


@contextlib.contextmanager
def lent(busybox_tar, *options):
    """A hosteld with the image busybox, that must leave nothing behind."""
    d = Hosteld(*options)
    try:
        d.start()
        d.ok('load', '-q', '-i', busybox_tar)
        yield d
    finally:
        left = d.teardown()
    assert not left, f'left behind: {left}'


@pytest.fixture(scope='module')
def module_hosteld(root_only, busybox_tar):
    """A hosteld with the image busybox, shared by the tests of a module."""
    with lent(busybox_tar) as d:
        yield d


@pytest.fixture
def hosteld(module_hosteld):
    """The module's hosteld, without instances at the end of each test."""
    if module_hosteld.process.poll() is not None:
        module_hosteld.start()
    yield module_hosteld
    module_hosteld.clear()


@pytest.fixture
def kernel(hosteld):
    """The module's hosteld with a default kernel bundle, so that VMs boot."""
    if not json.loads(hosteld.ok('kernel', 'ls', '--format', 'json')):
        p = run(ROOT / 'tools/fetch.sh', 'kernel', CACHE, timeout=300)
        if p.returncode:
            pytest.skip(f'no kernel: {p.err}')
        hosteld.ok('kernel', 'add', p.out.splitlines()[-1], timeout=300)
    return hosteld


@pytest.fixture
def hostel(hosteld):
    """The command line against hosteld: hostel('run', …) has .returncode .out .err"""
    return hosteld.hostel


@pytest.fixture(scope='session')
def docker():
    return docker_program()


@pytest.fixture
def openapi():
    """Docker's API as data."""
    import yaml
    path = SHARED / 'specs/docker-engine-api-v1.50.yaml'
    if not path.exists():
        pytest.skip(f'{path} is not there (HOSTEL_SHARED)')
    return yaml.safe_load(path.read_text())


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Registry:
    """Debian's docker-registry on loopback, empty."""

    def __init__(self, folder):
        self.exe = shutil.which('docker-registry')
        if not self.exe:
            pytest.skip('docker-registry is not installed')
        self.port = free_port()
        self.name = f'localhost:{self.port}'
        self.folder = pathlib.Path(folder)
        config = self.folder / 'config.yml'
        config.write_text(f'version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: '
                          f'{self.folder}/data}}\n  delete: {{enabled: true}}\nhttp: {{addr: "127.0.0.1:{self.port}"}}\n')
        with open(self.folder / 'log', 'wb') as log:
            self.process = subprocess.Popen([self.exe, 'serve', str(config)], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', self.port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError('docker-registry does not answer: ' + (self.folder / 'log').read_text())

    def push(self, archive, name, *options):
        """Put an archive's image there as `name`; its full reference."""
        ref = f'{self.name}/{name}'
        p = run('skopeo', 'copy', '-q', '--dest-tls-verify=false', *options, f'docker-archive:{archive}',
                f'docker://{ref}', timeout=300)
        assert p.returncode == 0, p.err
        return ref

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def registry(tmp_path):
    r = Registry(tmp_path)
    yield r
    r.stop()
