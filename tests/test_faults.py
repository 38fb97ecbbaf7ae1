# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon at every phase boundary and at random moments, for containers and VMs: what a client was
told holds afterwards, what it was not told has happened or has not, nothing that ran is disturbed, nothing leaks.

HOSTEL_TEST_SEED     seed of the random moments (printed)
HOSTEL_TEST_DEATHS   how many of them
"""
import contextlib, http.client, os, random, socket, threading, time

import pytest

from conftest import Hosteld, cgroups_of, mounts_of, processes_of
from test_recovery import start_with, state, wait_for

PATIENCE = 120   # two cores, shared; nothing here is about speed
AWAY = (OSError, http.client.HTTPException)
KINDS = ['container', 'vm']


@pytest.fixture(scope='module')
def world(root_only, busybox_tar, images):
    """A hosteld with busybox and a kernel, for both kinds."""
    # Of the machine's memory, others may have taken all: that is not what these tests are about.
    d = Hosteld('--memory-total', '64g', '--cpus-total', '64')
    try:
        d.start()
        d.ok('load', '-q', '-i', busybox_tar)
        d.ok('kernel', 'add', os.environ['HOSTEL_KERNEL_DEB'], timeout=300)
        # What is made once per image and kernel is made now.
        assert d.ok('run', '--rm', '--vm', '-m', '192m', 'busybox', 'echo', 'warm', timeout=PATIENCE) == 'warm'
        yield d
    finally:
        left = d.teardown()
    assert not left, f'left behind: {left}'


def request(kind, script, **host):
    body = {'Image': 'busybox', 'Cmd': ['sh', '-c', script], 'HostConfig': dict(host)}
    if kind == 'vm':
        body['HostConfig'] |= {'Runtime': 'vm', 'Memory': 192 << 20}
    return body


def leaks(d):
    """What is there though no instance is; the daemon itself, its bridge and its ruleset are not meant."""
    left = [f'{p}: {l}' for p, l in processes_of(str(d.dir)).items() if p != d.process.pid]
    left += [f'mount {m}' for m in mounts_of(str(d.dir))]
    left += [f'cgroup {c}/{n}' for c in cgroups_of(d.cgroup) for n in os.listdir(c) if os.path.isdir(f'{c}/{n}')]
    with contextlib.suppress(OSError):
        left += [f'link {n}' for n in os.listdir(f'/sys/class/net/{d.bridge}/brif')]
    for folder in (d.root / 'instances', d.run_dir / 'instances'):
        left += [f'folder {f}: {os.listdir(f)}' for f in folder.iterdir()]
    return left


def nothing_leaks(d):
    end = time.monotonic() + 20
    while leaks(d) and time.monotonic() < end:
        time.sleep(0.05)
    assert leaks(d) == []


# ---- every phase boundary ----

CREATE, START, EXEC, PAUSE, STOP, REMOVE, FORCE = range(7)


def step(d, what, name, body):
    """One request of the story. Return: what is to be known afterwards (an exec's id)."""
    post = lambda path, b=None: d.api('POST', path, b, timeout=PATIENCE)
    if what == CREATE:
        return post(f'/containers/create?name={name}', body)
    if what == EXEC:
        id = post(f'/containers/{name}/exec', {'Cmd': ['sh', '-c', 'exit 7'], 'AttachStdout': True}).json['Id']
        (d.dir / 'exec-id').write_text(id)
        post(f'/exec/{id}/start', {'Detach': True})
        wait_for(lambda: not d.api('GET', f'/exec/{id}/json').json['Running'], PATIENCE)
        return None
    if what == PAUSE:  # what is frozen says nothing any more
        wait_for(lambda: d.ok('logs', name) == 'out', PATIENCE)
    path = {START: 'start', PAUSE: 'pause', STOP: 'stop?t=1'}
    if what in path:
        return post(f'/containers/{name}/{path[what]}')
    return d.api('DELETE', f'/containers/{name}?force={int(what == FORCE)}', timeout=PATIENCE)


def is_running(d, name):
    s = wait_for(lambda: (s := state(d, name)) and s['Running'] and s, PATIENCE)
    wait_for(lambda: d.ok('logs', name) == 'out', PATIENCE)
    return s


def is_withdrawn(d, name):
    s = wait_for(lambda: (s := state(d, name)) and s['Status'] == 'created' and not settling(d, name) and s, PATIENCE)
    assert s['StartedAt'] == '0001-01-01T00:00:00Z'


def settling(d, name):
    """Is it on its way from one state to another?"""
    for i in d.api('GET', '/hostel/v1/instances?all=true').json:
        if i['name'] == name:
            return i['state'] in ('queued', 'starting', 'stopping', 'requeued')
    return False


def has_stopped(d, name):
    s = wait_for(lambda: (s := state(d, name)) and s['Status'] == 'exited' and s, PATIENCE)
    assert s['ExitCode'] in (137, 143) and (s['Error'], s['OOMKilled']) == ('', False), s
    assert d.ok('logs', name) == 'out'


def is_gone(d, name):
    wait_for(lambda: state(d, name) is None, PATIENCE)


def is_created(d, name):
    assert state(d, name)['Status'] == 'created'


def exec_is_known(d, name):
    """The shim had it: it ran to its end and its code is told."""
    id = (d.dir / 'exec-id').read_text()
    look = lambda: d.api('GET', f'/exec/{id}/json').json
    wait_for(lambda: look()['ExitCode'] is not None, PATIENCE)
    assert (look()['ExitCode'], look()['Running']) == (7, False)
    is_running(d, name)


def exec_did_not_begin(d, name):
    x = d.api('GET', f'/exec/{(d.dir / "exec-id").read_text()}/json').json
    assert (x['Running'], x['ExitCode']) == (False, None)
    is_running(d, name)


def is_paused(d, name):
    """Frozen by the shim, told to nobody: so it is; and thawed the same way."""
    assert is_running(d, name)['Paused']
    d.stop()
    start_with(d, HOSTEL_CRASH_AT='paused')
    wait_for(lambda: state(d, name)['Paused'])
    with contextlib.suppress(*AWAY):
        d.api('POST', f'/containers/{name}/unpause', timeout=PATIENCE)
    assert d.process.wait(10) == 137
    d.start()
    wait_for(lambda: not state(d, name)['Paused'])
    assert d.ok('exec', name, 'echo', 'thawed') == 'thawed'


# Phase: (the story up to it, what holds afterwards).
PHASES = {
    'create-folder': ([CREATE], is_gone),
    'create-commit': ([CREATE], is_created),
    'claimed': ([CREATE, START], is_withdrawn),
    'planned': ([CREATE, START], is_withdrawn),
    'starting': ([CREATE, START], is_withdrawn),
    'spawned': ([CREATE, START], is_withdrawn),
    'connected': ([CREATE, START], is_withdrawn),
    'start-sent': ([CREATE, START], is_running),
    'started': ([CREATE, START], is_running),
    'running': ([CREATE, START], is_running),
    'exec': ([CREATE, START, EXEC], exec_did_not_begin),
    'exec-sent': ([CREATE, START, EXEC], exec_is_known),
    'exec-started': ([CREATE, START, EXEC], exec_is_known),
    'exec-exited': ([CREATE, START, EXEC], exec_is_known),
    'paused': ([CREATE, START, PAUSE], is_paused),
    'stopping': ([CREATE, START, STOP], has_stopped),
    'stop-sent': ([CREATE, START, STOP], has_stopped),
    'exited': ([CREATE, START, STOP], has_stopped),
    'exit-commit': ([CREATE, START, STOP], has_stopped),
    'removing': ([CREATE, START, FORCE], is_gone),
    'remove': ([CREATE, START, STOP, REMOVE], is_gone),
    'removed': ([CREATE, START, STOP, REMOVE], is_gone),
}
# A boot takes seconds: make check takes these, make check-slow all.
QUICK_FOR_VMS = ('claimed', 'start-sent', 'exec-exited', 'stopping')


def killed_at(d, phase, kind, story, holds, policy=None):
    name = f'{kind}-{phase}'
    d.stop()
    start_with(d, HOSTEL_CRASH_AT=phase)
    body = request(kind, 'echo out; sleep 1000', RestartPolicy={'Name': policy or 'no'})
    try:
        with contextlib.suppress(*AWAY):
            for what in story:
                step(d, what, name, body)
        assert d.process.wait(10) == 137, 'the phase was not reached'
        d.start()
        holds(d, name)
        # The next life.
        a = d.api('DELETE', f'/containers/{name}?force=1', timeout=PATIENCE)
        assert a.status in (204, 404)
        assert d.ok('run', '--rm', '--name', name, 'busybox', 'echo', 'alive') == 'alive'
        nothing_leaks(d)
    finally:
        if d.process.poll() is not None:
            d.start()
        d.clear()


@pytest.mark.parametrize('phase', PHASES)
def test_a_container_killed_at(world, phase):
    killed_at(world, phase, 'container', *PHASES[phase])


@pytest.mark.parametrize('phase', [
    p if p in QUICK_FOR_VMS else pytest.param(p, marks=pytest.mark.slow) for p in PHASES])
def test_a_vm_killed_at(world, phase):
    killed_at(world, phase, 'vm', *PHASES[phase])


@pytest.mark.parametrize('phase', ['stopping', 'stop-sent', 'exited', 'exit-commit'])
def test_what_a_user_stopped_stays_so_though_its_policy_is_always(world, phase):
    killed_at(world, phase, 'container', [CREATE, START, STOP], has_stopped, policy='always')


def forget_filters(d):
    """The next start of a container needs a worker first."""
    for f in (d.root / 'seccomp').iterdir():
        f.unlink()


@pytest.mark.parametrize('kind', KINDS)
def test_a_restart_that_needs_a_worker_first(world, kind):
    """The last run's supervisor ends while the next run is being prepared: its word is not taken for that run's."""
    d, name = world, f'prepared-{kind}'
    step(d, CREATE, name, request(kind, 'echo out; sleep 1000'))
    step(d, START, name, None)
    d.kill()
    d.start()  # which VMs' initramfs is the right one is looked up anew
    before = wait_for(lambda: (s := state(d, name)) and s['Running'] and s, PATIENCE)
    forget_filters(d)
    assert d.api('POST', f'/containers/{name}/restart?t=0', timeout=PATIENCE).status == 204
    after = state(d, name)
    assert after['Running'] and after['Pid'] not in (0, before['Pid'])
    d.clear()
    nothing_leaks(d)


@pytest.mark.parametrize('phase', ['stopping', 'stop-sent', 'exited', 'exit-commit', 'preparing', 'claimed', 'planned', 'starting', 'spawned'])
def test_a_restart_that_was_asked_for_is_done(world, phase):
    d, name = world, 'again'
    d.ok('run', '-d', '--name', name, 'busybox', 'sh', '-c', 'echo out; sleep 1000')
    before = state(d, name)
    d.stop()
    start_with(d, HOSTEL_CRASH_AT=phase)
    wait_for(lambda: state(d, name)['Running'])
    if phase == 'preparing':
        forget_filters(d)
    with contextlib.suppress(*AWAY):
        d.api('POST', f'/containers/{name}/restart?t=0', timeout=PATIENCE)
    assert d.process.wait(10) == 137
    d.start()
    wait_for(lambda: (s := state(d, name)) and s['Running'] and s['Pid'] not in (0, before['Pid']), PATIENCE)
    d.clear()
    nothing_leaks(d)


def test_a_stop_keeps_its_time_limit(world):
    """It ignores TERM and has ten minutes of its own; the client gave it one second."""
    d, name = world, 'limit'
    d.ok('run', '-d', '--name', name, '--stop-timeout', '600', 'busybox', 'sh', '-c', 'trap "" TERM; echo out; sleep 1000')
    d.stop()
    start_with(d, HOSTEL_CRASH_AT='stop-sent')
    with contextlib.suppress(*AWAY):
        d.api('POST', f'/containers/{name}/stop?t=1', timeout=PATIENCE)
    assert d.process.wait(10) == 137
    d.start()
    has_stopped(d, name)
    d.clear()


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('waits', ['queued', 'held'])
def test_killed_with_a_start_in_the_queue(world, kind, waits):
    """A queued start survives, a held one is withdrawn with its client."""
    d, name = world, f'{kind}-{waits}'
    free = d.api('GET', '/hostel/v1/resources').json['R_free']['memory_bytes']
    d.ok('run', '-d', '--name', 'big', '-m', free - (1 << 30), 'busybox', 'sleep', '1000')
    body = {**request(kind, 'echo out; sleep 1000'), 'Labels': {'hostel.queue': 'wait'} if waits == 'queued' else {}}
    body['HostConfig']['Memory'] = 2 << 30
    assert step(d, CREATE, name, body).status == 201
    d.stop()
    start_with(d, HOSTEL_CRASH_AT='queued')
    with contextlib.suppress(*AWAY):
        step(d, START, name, body)
    assert d.process.wait(10) == 137
    d.start()
    if waits == 'queued':
        assert [q['name'] for q in d.api('GET', '/hostel/v1/queue').json] == [name]
        d.ok('rm', '-f', 'big')
        is_running(d, name)
    else:
        is_withdrawn(d, name)
    d.clear()
    nothing_leaks(d)


# ---- a store that is lost or damaged ----

def lose(d):
    for path in d.root.glob('hostel.db*'):
        path.unlink()


def damage(d):
    with open(d.root / 'hostel.db', 'r+b') as f:
        f.write(b'this is no database' * 100)


def damage_inside(d):
    """Its pages, not its head."""
    with open(d.root / 'hostel.db', 'r+b') as f:
        f.seek(0, 2)
        for at in range(4096, f.tell(), 4096):
            f.seek(at)
            f.write(os.urandom(256))


def fetched(port):
    with socket.create_connection(('127.0.0.1', port), 10) as s:
        s.settimeout(10)
        return s.makefile().read()


MEASURED = ('ManageBytes',)   # anew, every few seconds


def differences(a, b, at=''):
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in {**a, **b} if k not in MEASURED for d in differences(a.get(k), b.get(k), f'{at}.{k}')]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for n in range(len(a)) for d in differences(a[n], b[n], f'{at}[{n}]')]
    return [] if a == b else [f'{at}: {a!r} was {b!r}']


def picture(d):
    """What a user sees of it all, in an order of its own."""
    names = sorted(i['name'] for i in d.api('GET', '/hostel/v1/instances?all=true').json)
    by = lambda key: lambda o: str(o[key])
    return {
        'images': sorted(d.api('GET', '/images/json').json, key=by('Id')),
        'image': d.api('GET', '/images/busybox/json').json,
        'volumes': sorted(d.api('GET', '/volumes').json['Volumes'], key=by('Name')),
        'kernels': d.api('GET', '/hostel/v1/kernels').json,
        'networks': sorted(d.api('GET', '/networks').json, key=by('Id')),
        'inspect': {n: d.api('GET', f'/containers/{n}/json').json for n in names},
        'ps': sorted(({k: c[k] for k in ('Id', 'Names', 'Image', 'ImageID', 'Command', 'Created', 'Ports', 'Labels', 'State')}
                      for c in d.api('GET', '/containers/json?all=1').json), key=by('Id')),
    }


@pytest.mark.parametrize('harm', [lose, damage, damage_inside])
def test_a_store_that_is_gone_is_made_anew_from_what_lies_beside_it(world, harm):
    d = world
    d.ok('tag', 'busybox', 'registry.example/other:3')
    d.ok('volume', 'create', '--label', 'of=test', 'data')
    network = d.api('POST', '/networks/create', {'Name': 'lan', 'Labels': {'a': 'b'}}).json['Id']
    serve = 'while :; do echo served | nc -l -p 80; done'
    d.ok('run', '-d', '--name', 'web', '-p', '127.0.0.1::80', '-v', 'data:/srv', '-v', '/anonymous', '--label', 'x=y',
         '--restart', 'unless-stopped', '-m', '64m', 'busybox', 'sh', '-c', f'echo out; {serve}')
    d.ok('run', '-d', '--name', 'member', '--network', 'lan', 'busybox', 'sleep', '1000')
    kind = ['--vm', '-m', '192m'] if harm is lose else []   # boots take their time
    d.ok('run', '-d', '--name', 'vm', *kind, '-p', '127.0.0.1::80', 'busybox', 'sh', '-c', serve, timeout=PATIENCE)
    d.ok('run', '-d', '--name', 'ice', 'busybox', 'sleep', '1000')
    d.ok('pause', 'ice')
    d.hostel('run', '--name', 'over', 'busybox', 'sh', '-c', 'exit 5')
    d.hostel('run', '--name', 'failed', 'busybox', 'nosuch')
    d.ok('create', '--name', 'never', 'busybox')
    d.ok('run', '-d', '--name', 'stopped', '--restart', 'always', 'busybox', 'sleep', '1000')
    d.ok('stop', '-t', '0', 'stopped')
    d.ok('run', '-d', '--name', 'old', 'busybox', 'sleep', '1000')
    d.ok('rename', 'old', 'renamed')
    port = lambda name: int(d.ok('port', name).split(':')[-1])
    wait_for(lambda: fetched(port('web')) == 'served\n', PATIENCE)
    wait_for(lambda: fetched(port('vm')) == 'served\n', PATIENCE)
    before = picture(d)
    if harm is lose:
        d.kill()
    else:
        d.stop()   # all is in the one file then
    harm(d)
    d.start()
    wait_for(lambda: all(state(d, n)['Running'] for n in ('web', 'member', 'vm', 'ice', 'renamed')), PATIENCE)
    assert harm is lose or (d.root / 'hostel.db.damaged').exists()
    after = picture(d)
    assert differences(after, before) == []
    for name in ('web', 'vm'):
        wait_for(lambda: fetched(port(name)) == 'served\n', PATIENCE)
        assert d.ok('exec', name, 'echo', 'in') == 'in'
    # The claims are there: a port, a name and an address are not given twice.
    a = d.hostel('run', '--rm', '-p', f'127.0.0.1:{port("web")}:80', 'busybox', 'true')
    assert a.returncode == 125 and 'is held by instance web' in a.err
    a = d.hostel('run', '-d', '--name', 'web', 'busybox', 'true')
    assert a.returncode == 125 and 'is already in use by container' in a.err
    assert d.ok('run', '--rm', 'registry.example/other:3', 'echo', 'alive') == 'alive'
    assert not state(d, 'stopped')['Running']
    d.clear()
    d.ok('volume', 'rm', 'data')
    d.api('DELETE', f'/networks/{network}')
    d.ok('rmi', 'registry.example/other:3')
    nothing_leaks(d)


# ---- random moments ----

COUNTER = 'i=0; while [ $i -lt %d ]; do echo $i; i=$((i+1)); sleep 0.1; done; exit %d'
FOREVER = 1 << 30


class Life:
    """One instance and what its client knows of it: `is_` is what it was told last, `asked` what it asked for and
    was not answered, because the daemon died."""

    def __init__(self, d, name, kind, rnd, problems):
        self.d, self.name, self.kind, self.rnd, self.problems = d, name, kind, rnd, problems
        self.is_, self.asked, self.exec, self.pid = 'absent', None, None, None
        self.ticks, self.code, self.has_run, self.told = 0, 0, False, 0

    def api(self, method, path, body=None):
        return self.d.api(method, path, body, timeout=PATIENCE)

    def look(self):
        return state(self.d, self.name)

    # -- what it may be asked in each state, and what holds when that was answered --

    def create(self):
        self.ticks = FOREVER if self.rnd.random() < 0.6 else self.rnd.randrange(1, 8)
        self.code = self.rnd.randrange(1, 100)
        self.has_run = False
        body = request(self.kind, COUNTER % (self.ticks, self.code))
        return self.api('POST', f'/containers/create?name={self.name}', body).status, 201, 'created'

    def start(self):
        return self.api('POST', f'/containers/{self.name}/start').status, 204, 'running'

    def stop(self):
        return self.api('POST', f'/containers/{self.name}/stop?t=0').status, 204, 'stopped'

    def pause(self):
        return self.api('POST', f'/containers/{self.name}/pause').status, 204, 'paused'

    def unpause(self):
        return self.api('POST', f'/containers/{self.name}/unpause').status, 204, 'running'

    def remove(self):
        return self.api('DELETE', f'/containers/{self.name}?force=1').status, 204, 'absent'

    def execute(self):
        code = self.rnd.randrange(1, 100)
        a = self.api('POST', f'/containers/{self.name}/exec',
                     {'Cmd': ['sh', '-c', f'echo ex; sleep 0.2; exit {code}'], 'AttachStdout': True})
        if a.status != 201:
            return a.status, 201, 'running'
        self.exec = (a.json['Id'], code, False)
        a = self.api('POST', f'/exec/{self.exec[0]}/start', {})
        if a.status != 200 or b'ex\n' not in a.body:
            return f'{a.status} {a.body}', 200, 'running'
        self.exec = (*self.exec[:2], True)
        self.check_exec()
        return 200, 200, 'running'

    CHOICES = {
        'absent': ['create'], 'created': ['start', 'start', 'start', 'remove'],
        'running': ['execute', 'execute', 'pause', 'stop', 'remove'], 'paused': ['unpause'],
        'stopped': ['start', 'remove', 'remove'], 'exited': ['start', 'remove', 'remove'],
    }

    def act(self):
        """One request. Raises AWAY when the daemon died under it."""
        if self.is_ == 'running' and self.ticks != FOREVER:
            self.finish()
            return
        self.asked = self.rnd.choice(self.CHOICES[self.is_])
        got, wanted, then = getattr(self, self.asked)()
        if got != wanted:
            self.problems.append(f'{self.name}: {self.asked} when {self.is_}: {got}')
        self.is_, self.told = then, self.told + 1
        self.has_run |= self.asked == 'start'
        self.asked = None
        if then == 'running' and not self.pid:
            self.pid = self.look()['Pid']
        elif then not in ('running', 'paused'):
            self.pid = None

    def finish(self):
        """It ends by itself."""
        wait_for(lambda: (s := self.look()) and not s['Running'], PATIENCE)
        self.is_, self.pid = 'exited', None
        self.check_log()

    # -- afterwards --

    def check_exec(self):
        """Its output was seen to the end: its code is known, and right."""
        id, code, seen = self.exec
        look = lambda: self.api('GET', f'/exec/{id}/json')
        if look().status == 404:   # went with the run of its instance
            if self.is_ == 'running' and self.asked == 'execute' and seen:
                self.problems.append(f'{self.name}: its exec is not known')
        else:
            wait_for(lambda: (a := look()).status == 404 or not a.json['Running'] and
                     (a.json['ExitCode'] is not None or not seen), PATIENCE)
            a = look()
            if a.status == 200 and a.json['ExitCode'] not in (code, *([] if seen else [None])):
                self.problems.append(f'{self.name}: exec exited with {a.json["ExitCode"]}, not {code}')
        self.exec = None

    def check_log(self):
        """Whole, in order, nothing twice: of all its runs, each from 0."""
        s = self.look()
        p = self.d.hostel('logs', self.name)
        if p.returncode:
            raise ConnectionError(p.err)
        lines = list(map(int, p.out.split()))
        runs = [n for n, line in enumerate(lines) if line == 0]
        if any(b != a + 1 and b for a, b in zip(lines, lines[1:])) or (lines and lines[0]):
            self.problems.append(f'{self.name}: its log is {lines}')
        elif self.ticks != FOREVER and s and s['Status'] == 'exited' and s['ExitCode'] == self.code:
            if not runs or len(lines) - runs[-1] != self.ticks:
                self.problems.append(f'{self.name}: exited after {self.ticks} lines, its log is {lines}')

    # What it may be after a request that was not answered.
    UNSURE = {'create': ['absent', 'created'], 'start': ['running', 'exited'], 'stop': ['running', 'stopped'],
              'pause': ['paused'], 'unpause': ['running'], 'remove': ['absent'], 'execute': ['running'], None: []}

    def settled(self):
        """Its state by the daemon's word, in words of ours, once it is on its way no more."""
        wait_for(lambda: not settling(self.d, self.name), PATIENCE)
        s = self.look()
        if s is None:
            return 'absent', None
        if s['Running']:
            return 'paused' if s['Paused'] else 'running', s
        return ('created' if s['Status'] == 'created' else 'stopped' if s['ExitCode'] in (137, 143) else 'exited'), s

    def check(self):
        """After a restart: does it hold what was told? Then go on from what is."""
        now, s = self.settled()
        may = {self.is_, *self.UNSURE[self.asked]}
        if 'running' in may and self.ticks != FOREVER:
            may.add('exited')
        if self.asked == 'remove':
            may |= {'stopped'}
        if now not in may:
            self.problems.append(f'{self.name}: was {self.is_}, asked to {self.asked}, is {now}: {s}')
        # A start that was not answered is withdrawn with its client.
        ends = [(self.code, '', False)] + [(128, 'withdrawn: hosteld was restarted while its client waited', False)] * (self.asked == 'start')
        if now == 'exited' and (s['ExitCode'], s['Error'], s['OOMKilled']) not in ends:
            self.problems.append(f'{self.name}: should exit with {self.code}: {s}')
        if now in ('running', 'paused'):
            if self.pid and self.pid != s['Pid'] and self.asked != 'start':
                self.problems.append(f'{self.name}: another process: {s["Pid"]}, was {self.pid}')
            self.pid = s['Pid']
        if self.exec:
            self.check_exec()
        if now != 'absent':
            self.check_log()
        if now not in ('running', 'paused'):
            self.pid = None
        self.is_, self.asked = now, None


def live(lives, until):
    """Requests of one client, one after another, over its instances."""
    rnd = lives[0].rnd
    while time.monotonic() < until:
        life = rnd.choice(lives)
        try:
            life.act()
        except AWAY:
            return
        except AssertionError as e:
            life.problems.append(f'{life.name}: {e}')
            return


class Session:
    """An attached client that was there before, and what it hears."""

    def __init__(self, d, *argv):
        self.p = d.popen(*argv, stdin=-1)
        self.argv, self.n = argv, 0

    def goes_on(self):
        self.n += 1
        self.p.stdin.write(f'line {self.n}\n')
        self.p.stdin.flush()
        assert self.p.stdout.readline() == f'line {self.n}\n', self.argv

    def end(self):
        self.p.stdin.close()
        assert self.p.stdout.read() == ''
        self.p.wait(PATIENCE)


def die_at_random(d, seed, deaths):
    """20 instances, 16 containers and 4 VMs; six clients; kill -9 at moments of the seed's choice."""
    print(f'HOSTEL_TEST_SEED={seed} deaths={deaths}')
    rnd = random.Random(seed)
    problems = []
    vm = ['--vm', '-m', '192m']
    for name, kind in (('steady', []), ('steady-vm', vm)):
        d.ok('run', '-d', '--name', name, *kind, 'busybox', 'sh', '-c', COUNTER % (FOREVER, 0), timeout=PATIENCE)
    sessions = [Session(d, 'run', '-i', '--name', 'cat', 'busybox', 'cat'),
                Session(d, 'run', '-i', '--name', 'cat-vm', *vm, 'busybox', 'cat'),
                Session(d, 'exec', '-i', 'steady', 'cat'), Session(d, 'exec', '-i', 'steady-vm', 'cat')]
    for s in sessions:
        s.goes_on()
    steady = {n: state(d, n) for n in ('steady', 'steady-vm', 'cat', 'cat-vm')}
    clients = [[Life(d, f'c{c}-{n}', 'container', random.Random(rnd.random()), problems) for n in range(k)]
               for c, k in enumerate((4, 4, 3, 3))]
    clients += [[Life(d, f'vm{n}', 'vm', random.Random(rnd.random()), problems)] for n in range(2)]
    for death in range(deaths):
        moment = rnd.uniform(0.05, 1.5)
        threads = [threading.Thread(target=live, args=(c, time.monotonic() + 60)) for c in clients]
        for t in threads:
            t.start()
        time.sleep(moment)
        d.kill()
        for t in threads:
            t.join()
        time.sleep(rnd.choice((0, 0, 0.5)))   # some end while nobody looks
        d.start()
        for s in sessions:
            s.goes_on()
        for life in [l for c in clients for l in c]:
            life.check()
        assert not problems, f'seed {seed}, death {death}: {problems}'
    for name, was in steady.items():
        now = state(d, name)
        assert (now['Pid'], now['StartedAt'], now['Running']) == (was['Pid'], was['StartedAt'], True)
    for name in ('steady', 'steady-vm'):
        lines = list(map(int, d.ok('logs', name).split()))
        assert lines == list(range(len(lines))) and len(lines) > 3
        wait_for(lambda: len(d.ok('logs', name).split()) > len(lines))
    for s in reversed(sessions):
        s.end()
    for name in ('cat', 'cat-vm'):
        wait_for(lambda: (s := state(d, name))['Status'] == 'exited' and s['ExitCode'] == 0, PATIENCE)
    told = sum(l.told for c in clients for l in c)
    print(f'{told} requests were answered')
    assert told > deaths
    d.clear()
    nothing_leaks(d)


def seed():
    return int(os.environ.get('HOSTEL_TEST_SEED') or random.randrange(1 << 30))


def test_a_few_deaths_at_random_moments(world):
    die_at_random(world, seed(), int(os.environ.get('HOSTEL_TEST_DEATHS', 6)))


@pytest.mark.slow
def test_twenty_deaths_at_random_moments(world):
    die_at_random(world, seed(), int(os.environ.get('HOSTEL_TEST_DEATHS', 20)))
