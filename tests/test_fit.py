# SPDX-License-Identifier: Apache-2.0
"""hostel fit: what would be admitted and what would wait, before anyone switches."""
import contextlib, csv, http.server, json, os, re, socketserver, threading

import pytest

from apispec import described
from conftest import docker_program, lent, run, waiter
from test_compose import version_2

wait_for = waiter(60)
MIB = 1 << 20
ROOM = 256 * MIB  # of memory, in this one


@pytest.fixture(scope='module')
def module_small(root_only, busybox_tar):
    with lent(busybox_tar, '--memory-total', '512m', '--reserve-memory', '128m', '--manage-memory', '128m', '--cpus-total', '2',
              '--disk-total', '1g') as d:
        yield d


@pytest.fixture
def small(module_small):
    """A hosteld with room for 256 MiB and 8 cpus (2, four times)."""
    yield module_small
    module_small.clear()


def project(**services):
    """As docker compose config --format json prints it."""
    return {'name': 'proj', 'services': {n: {'image': 'busybox', 'command': ['sleep', '60'], **s} for n, s in services.items()}}


def limits(mib=None, cpus=None, **more):
    says = {**({'memory': str(mib * MIB)} if mib else {}), **({'cpus': cpus} if cpus else {})}
    return {'deploy': {'resources': {'limits': says}}, **more}


def fit(d, document, *options):
    """The JSON answer and the exit code."""
    p = d.hostel('fit', '-', '--format', 'json', *options, input=json.dumps(document))
    assert p.returncode in (0, 1, 2), p.err
    return described(d, json.loads(p.out), 'Fit'), p.returncode


def verdicts(answer):
    return {i['name']: i['verdict'] for i in answer['instances']}


def picture(d):
    """All that a question could have changed."""
    queue = [{k: v for k, v in q.items() if k not in ('waiting_ns', 'expected_start_ns')} for q in d.api('GET', '/hostel/v1/queue').json]
    r = d.api('GET', '/hostel/v1/resources').json
    return {
        'store': [(d.root / f).read_bytes() for f in ('hostel.db', 'hostel.db-wal')], 'queue': queue, 'held': r['R_held'], 'holders': sorted(h['name'] for h in r['holders']),
        'files': sorted(str(p) for p in d.root.rglob('*') if 'hostel.db' not in p.name),
        'log': (d.root / 'events.log').read_bytes(),
        'events': d.api('GET', '/events?since=1&until=9999999999').body,
        'images': d.api('GET', '/images/json').json,
    }


def unchanged(d, ask):
    """What @ask gives, after it was seen to change nothing: a daemon may write a measurement of its own meanwhile, so it
    may be asked again."""
    for _ in range(10):
        before = picture(d)
        answer = ask()
        after = picture(d)
        if before == after:
            return answer
    raise AssertionError([k for k in before if before[k] != after[k]])


# ---- a compose file ----

PROJECT = project(
    db=limits(150, 1.5),
    web=limits(40, '0.5', depends_on={'db': {'condition': 'service_started'}}, scale=3),
    big=limits(120),
    huge=limits(1024),
    wide={'cpus': 9},
    free={})


def test_each_service_is_admitted_waits_or_never_fits(small):
    answer, code = unchanged(small, lambda: fit(small, PROJECT))
    got = {i['name']: (i['verdict'], i['reason']) for i in answer['instances']}
    held = 'held by db, web-1, web-2 (no end known)'
    assert got == {
        'db': ('admitted', None), 'web-1': ('admitted', None), 'web-2': ('admitted', None),
        'web-3': ('waits', f'memory: needs 40 MiB, 26 MiB free; {held}'),
        'big': ('waits', f'memory: needs 120 MiB, 26 MiB free; {held}'),
        'huge': ('never', 'memory: needs 1 GiB, this host has 256 MiB'),
        'wide': ('never', 'cpu: needs 9 cpus, this host has 8 cpus'),
        'free': ('admitted', None),
    }
    assert code == 2 and answer['counts'] == {'admitted': 4, 'waits': 2, 'never': 2}
    total = lambda key: (answer[key]['cpu_milli'], answer[key]['memory_bytes'])
    assert total('demand') == (12000, (150 + 3 * 40 + 120 + 1024) * MIB)
    assert total('R_total') == total('R_free') == (8000, ROOM)
    assert total('R_free_after') == (8000 - 2500, ROOM - (150 + 2 * 40) * MIB)
    assert [i['best_effort'] for i in answer['instances'] if i['name'] == 'free'] == [['cpu', 'memory']]
    assert answer['policy'] == 'fcfs/easy' and answer['empty'] is False


def test_what_runs_and_waits_here_counts_and_can_be_left_out(small):
    small.ok('run', '-d', '--name', 'holder', '-m', '200m', '--expect', '1h', 'busybox', 'sleep', '600')
    small.ok('run', '-d', '--name', 'first', '-m', '220m', '--expect', '1h', 'busybox', 'sleep', '600')
    asked = project(a=limits(50), b=limits(200))
    answer, code = unchanged(small, lambda: fit(small, asked))
    assert code == 1 and verdicts(answer) == {'a': 'waits', 'b': 'waits'}
    reasons = [i['reason'] for i in answer['instances']]
    assert reasons == ['behind first, which waits for memory', 'memory: needs 200 MiB, 56 MiB free; held by holder']
    # A short one that is done before the holder ends delays nobody; what comes after it can be known, too.
    asked['services']['a']['labels'] = {'hostel.expect': '10m'}
    answer, code = fit(small, asked)
    assert verdicts(answer) == {'a': 'admitted', 'b': 'waits'} and code == 1
    a, b = answer['instances']
    first, = small.api('GET', '/hostel/v1/queue').json
    assert a['estimate'] == {'ns': 600 * 10**9, 'source': 'given'} and a['expected_start_ns'] is None
    assert abs(b['expected_start_ns'] - first['expected_start_ns'] - 3600 * 10**9) < 60 * 10**9
    assert b['reason'] == 'memory: needs 200 MiB, 6 MiB free; held by holder, a'
    small.ok('drain')
    try:
        answer, code = fit(small, asked)
        assert code == 1 and all(i['reason'].startswith('drain: nothing new starts on this host since') for i in answer['instances'])
        answer, code = fit(small, asked, '--empty')
        assert code == 0 and verdicts(answer) == {'a': 'admitted', 'b': 'admitted'} and answer['empty'] is True
    finally:
        small.ok('drain', '--off')


def test_a_verdict_comes_true(small, tmp_path):
    """The same bodies, created and started: those admitted run, the others wait for what was said, or are refused."""
    answer, _ = fit(small, project(**{n: s for n, s in PROJECT['services'].items() if n != 'free'}))  # that one is measured
    for name in ('db', 'web-1', 'web-2', 'web-3', 'big', 'huge', 'wide'):
        service = PROJECT['services'][name.split('-')[0]]
        says = service.get('deploy', {}).get('resources', {}).get('limits', {})
        memory, cpus = int(says.get('memory', 0)), float(says.get('cpus', service.get('cpus', 0)))
        small.ok('create', '--name', name, '--label', 'hostel.queue=wait', *(['-m', memory] if memory else []),
                 *(['--cpus', cpus] if cpus else []), 'busybox', 'sleep', '60')
    seen = {}
    for i in answer['instances']:
        a = small.api('POST', f'/containers/{i["name"]}/start')
        seen[i['name']] = 'never' if a.status == 500 else 'started'
        if a.status == 500:
            assert a.json['message'] == f'not started: {i["reason"]}'
    queue = {q['name']: q['reason'] for q in small.api('GET', '/hostel/v1/queue').json}
    assert queue == {i['name']: i['reason'] for i in answer['instances'] if i['verdict'] == 'waits'}
    assert {n for n, s in seen.items() if s == 'never'} == {i['name'] for i in answer['instances'] if i['verdict'] == 'never'}


def test_vms_count_with_their_defaults_and_quotas_are_heeded(small):
    asked = project(vm={'runtime': 'vm'}, iso={'isolation': 'vm', **limits(100, 1)})
    answer, code = fit(small, asked)
    assert code == 2
    for i in answer['instances']:  # it has no kernel, as its start would say
        assert i['kind'] == 'vm' and i['reason'].startswith('there is no kernel to boot it with'), i
    assert [i['demand']['memory_bytes'] for i in answer['instances']] == [ROOM, 100 * MIB]
    assert [i['demand']['cpu_milli'] for i in answer['instances']] == [1000, 1000]
    assert all(i['manage_bytes'] > 30 * MIB for i in answer['instances'])
    small.ok('quota', 'set', 'root', '--memory', '100m')
    try:
        answer, code = fit(small, project(a=limits(60), b=limits(60), c=limits(120)))
        assert {i['name']: i['reason'] for i in answer['instances']} == {
            'a': None, 'b': 'quota: memory: needs 60 MiB, 40 MiB left of 100 MiB; held by a (no end known)',
            'c': 'quota: memory: needs 120 MiB, its user may hold 100 MiB'}
    finally:
        small.ok('quota', 'rm', 'root')


def test_what_create_would_refuse_never_starts_and_says_why(small):
    answer, code = fit(small, project(
        tiny={'mem_limit': '1000'}, kata={'runtime': 'kata'}, gpu={'deploy': {'resources': {'reservations': {
            'devices': [{'capabilities': ['gpu'], 'count': 1}]}}}}, label={'labels': {'hostel.expect': 'soon'}},
        after={'labels': {'hostel.after': 'nobody'}}, later={'labels': {'hostel.after': 'ok'}}, ok={}))
    reasons = {i['name']: i['reason'] for i in answer['instances']}
    assert code == 2 and verdicts(answer)['later'] == 'waits' and verdicts(answer)['ok'] == 'admitted'
    assert 'Minimum memory limit' in reasons['tiny'] and 'runtime name: kata' in reasons['kata']
    assert 'could not select device driver' in reasons['gpu'] and 'hostel.expect' in reasons['label']
    assert reasons['after'] == 'after: No such container: nobody' and reasons['later'] == 'after: waits for the end of ok'


def test_table_and_csv(small, tmp_path):
    file = tmp_path / 'project.json'
    file.write_text(json.dumps(project(db=limits(150, 1.5), web=limits(150, 1, labels={'hostel.expect': '1h'}), huge=limits(1024))))
    p = small.hostel('fit', file)
    assert p.returncode == 2 and p.err == ''
    assert [re.sub(' +', ' ', l).strip() for l in p.out.splitlines()] == [
        'NAME KIND CPU MEM DISK VERDICT STARTS REASON',
        'db container 1.5 150 MiB - admitted now -',
        'web container 1 150 MiB - waits - memory: needs 150 MiB, 106 MiB free; held by db (no end known)',
        'huge container - 1 GiB - never - memory: needs 1 GiB, this host has 256 MiB',
        '',
        'CPU MEM DISK M',
        'demand 2.5 1.3 GiB 0 B 768 KiB',
        'R_total 8 256 MiB 1 GiB 128 MiB',
        *[l for l in map(lambda l: re.sub(' +', ' ', l).strip(), p.out.splitlines()) if l.startswith('R_free')],
        '',
        '1 admitted, 1 would wait, 1 never']
    assert re.search(r'^R_free after +6\.5 +106 MiB +1 GiB ', p.out, re.M), p.out
    rows = list(csv.DictReader(small.hostel('fit', file, '--format', 'csv').stdout.splitlines()))
    assert [(r['name'], r['verdict'], r['memory_bytes'], r['estimate_ns']) for r in rows] == [
        ('db', 'admitted', str(150 * MIB), ''), ('web', 'waits', str(150 * MIB), str(3600 * 10**9)),
        ('huge', 'never', str(1024 * MIB), '')]
    assert rows[2]['reason'] == 'memory: needs 1 GiB, this host has 256 MiB'
    p = small.hostel('fit', file, '--format', '{{.name}} {{.verdict}}')
    assert p.out.splitlines() == ['db admitted', 'web waits', 'huge never']


@pytest.mark.parametrize('document, says', [
    (project(web={'mem_limit': '12q'}), 'service web: mem_limit: "12q" is not a size; write 512m, 1g or bytes'),
    (project(web=limits(cpus='many')), 'service web: deploy.resources.limits.cpus: "many" is not a number like 0.5 or 2'),
    (project(web={'scale': -1}), 'service web: scale: 0 to 1000'),
    ({'services': {'web': 'busybox'}}, 'service web: expected an object'),
    ({'version': '3'}, 'it has no services: expected what docker compose config --format json prints'),
    ('services:\n  web:', 'expected what docker compose config --format json prints: JSON, line 1 column '),
])
def test_bad_input_is_one_line_that_says_where(small, document, says):
    text = document if isinstance(document, str) else json.dumps(document)
    p = small.hostel('fit', '-', input=text)
    assert p.returncode == 125 and p.out == '' and p.err.startswith(f'hostel: stdin: {says}'), p.err
    assert '\n' not in p.err


@pytest.mark.parametrize('options, says', [
    ([], 'name a compose file, or - for its JSON, or --docker'),
    (['-', '--docker'], 'a file or --docker, not both'),
    (['-', '--all'], '--all and --docker-host go with --docker'),
    (['/nowhere/compose.yaml'], '/nowhere/compose.yaml: No such file or directory'),
    (['--docker', '--docker-host', 'unix:///nowhere.sock'], 'dockerd: '),
])
def test_a_bad_command_line_is_one_line(small, options, says):
    p = small.hostel('fit', *options)
    assert p.returncode == 125 and p.err.startswith(f'hostel: {says}') and '\n' not in p.err, p.err


def test_bad_requests_are_refused_with_their_place(small):
    for body, says in [
            ({}, 'Instances: expected an array'), ({'Instances': [], 'Empty': 1}, 'Empty: expected true or false'),
            ({'Instances': [{'Name': 'a'}]}, 'Instances[0]: has no Body'), ({'Instances': [5]}, 'Instances[0]: '),
            ({'Instances': [{'Name': 'a', 'Body': {}}, {'Name': 'a', 'Body': {}}]}, 'Instances[1]: another one is named "a" too'),
            ({'Instances': [{'Name': 'a', 'Body': []}]}, 'Instances[0]: Body: expected an object'),
            ({'Instances': [{'Name': 'a', 'Body': {}, 'X': 1}]}, 'Instances[0]: unknown member "X"'),
            ({'Instances': [{'Name': str(n), 'Body': {}} for n in range(1001)]}, 'Instances: 1000 at most')]:
        a = small.api('POST', '/hostel/v1/fit', body)
        assert a.status == 400 and a.json['message'].startswith(says), a.body
    a = small.api('POST', '/hostel/v1/fit', {'Instances': [{'Name': 'a', 'Body': {}}]})
    assert a.json['instances'][0]['reason'] == 'no image specified'
    assert small.api('POST', '/hostel/v1/fit', {'Instances': []}).json['instances'] == []


# ---- what reads compose files ----

def with_program(d, tmp_path, script):
    """hostel fit compose.yaml with this docker."""
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin/docker').write_text(script)
    (tmp_path / 'bin/docker').chmod(0o755)
    (tmp_path / 'compose.yaml').write_text('services: {}\n')
    env = {**d.env, 'PATH': f'{tmp_path}/bin:/usr/bin:/bin'}
    return run(d.cli, 'fit', tmp_path / 'compose.yaml', '--format', '{{.name}}', env=env)


def test_a_compose_file_is_read_by_docker_compose(small, tmp_path):
    text = json.dumps(project(web=limits(10)))
    p = with_program(small, tmp_path, f"""#!/bin/sh
test "$*" = "compose -f {tmp_path}/compose.yaml config --format json" || exit 9
echo 'level=warning msg="something"' >&2
cat <<'.'
{text}
.
""")
    assert (p.returncode, p.out, p.err) == (0, 'web', '')


def test_without_docker_compose_one_line_says_what_to_do(small, tmp_path):
    p = with_program(small, tmp_path, '#!/bin/sh\necho "unknown shorthand flag: \'f\' in -f" >&2; exit 125\n')
    file = tmp_path / 'compose.yaml'
    assert (p.returncode, p.out, p.err) == (
        125, '', f'hostel: {file}: there is no docker compose here to read it; where there is one: docker compose -f {file} '
        'config --format json >project.json, then hostel fit project.json')


def test_what_docker_compose_complains_of_is_passed_on(small, tmp_path):
    p = with_program(small, tmp_path, '''#!/bin/sh
test "$2" = version && exit 0
echo 'level=warning msg="x"' >&2; echo 'services.web.image must be a string' >&2; exit 15
''')
    assert p.returncode == 125 and p.err == f'hostel: {tmp_path}/compose.yaml: docker compose: services.web.image must be a string'


FILE = '''
services:
  web:
    image: busybox
    command: sleep 1000
    cpus: 0.5
    mem_limit: 60m
    depends_on: [db]
    deploy: {replicas: 2}
    stop_grace_period: 0s
  db:
    image: busybox
    command: ["sleep", "1000"]
    deploy:
      resources:
        limits: {cpus: "1.25", memory: 100M, pids: 50}
        reservations: {memory: 80M, cpus: "1"}
    labels: {hostel.expect: 1h}
    stop_grace_period: 0s
  small:
    image: busybox
    command: sleep 1000
    mem_limit: 100m
    runtime: hostel
    stop_grace_period: 0s
'''


def test_the_real_docker_compose_sends_what_was_said_of_it(small, tmp_path):
    argv = version_2(small)
    file = tmp_path / 'compose.yaml'
    file.write_text(FILE)
    env = {**small.env, 'PATH': f'{os.path.dirname(argv[0])}:{os.environ["PATH"]}'}
    p = run(small.cli, 'fit', file, '--format', 'json', env=env)
    assert p.returncode == 1, p.err
    assert p.err == ('service db: deploy.resources.reservations.cpus counts for nothing: docker compose does not pass it on; '
                     'deploy.resources.limits.cpus does')
    answer = json.loads(p.out)
    assert verdicts(answer) == {'db': 'admitted', 'small': 'admitted', 'web-1': 'admitted', 'web-2': 'waits'}
    p = run(*argv, '-f', file, '-p', 'proj', 'create', env=env, timeout=180)
    assert p.returncode == 0, p.err
    made = {i['name'].removeprefix('proj-'): i['demand'] for i in small.api('GET', '/hostel/v1/instances?all=1').json}
    names = {'db': 'db-1', 'small': 'small-1', 'web-1': 'web-1', 'web-2': 'web-2'}
    for i in answer['instances']:
        assert {k: i['demand'][k] for k in ('cpu_milli', 'memory_bytes', 'disk_bytes')} == made[names[i['name']]], i['name']


# ---- what a dockerd runs ----

def test_what_another_daemon_runs(small, new_hosteld, busybox_tar):
    """Its socket is Docker's, whoever listens there."""
    other = new_hosteld()
    other.ok('load', '-q', '-i', busybox_tar)
    other.ok('run', '-d', '--name', 'db', '-m', '150m', '--cpus', '1.5', 'busybox', 'sleep', '600')
    other.ok('run', '-d', '--name', 'web', '-m', '120m', '-p', '127.0.0.1::80', '--restart', 'always', 'busybox', 'sleep', '600')
    other.ok('create', '--name', 'never', '-m', '1g', 'busybox', 'sleep', '600')
    options = ('--docker', '--docker-host', f'unix://{other.socket}', '--format', 'json')
    p = small.hostel('fit', *options)
    answer = json.loads(p.out)
    assert p.returncode == 1 and verdicts(answer) == {'db': 'admitted', 'web': 'waits'}, p.out
    assert answer['instances'][0]['demand'] == {'cpu_milli': 1500, 'memory_bytes': 150 * MIB, 'disk_bytes': 0, 'gpus': 0}
    p = small.hostel('fit', *options, '--all')
    assert p.returncode == 2 and verdicts(json.loads(p.out)) == {'db': 'admitted', 'web': 'waits', 'never': 'never'}
    p = other.hostel('fit', *options)
    assert p.returncode == 125 and p.err == f"hostel: dockerd: {other.socket}: that is hosteld itself; name dockerd's socket by --docker-host"


class Docker(http.server.BaseHTTPRequestHandler):
    """As a dockerd of an older version answers."""
    host = {'Runtime': 'runc', 'Isolation': '', 'NetworkMode': 'default', 'RestartPolicy': {'Name': 'no', 'MaximumRetryCount': 0},
            'CgroupnsMode': 'private', 'ConsoleSize': [24, 80], 'MaskedPaths': ['/proc/kcore'], 'ReadonlyPaths': ['/proc/bus'],
            'Binds': None, 'PidsLimit': None, 'OomKillDisable': None, 'Memory': 100 * MIB, 'NanoCpus': 500000000, 'Links': None,
            'LogConfig': {'Type': 'json-file', 'Config': {}}, 'PortBindings': {}, 'Devices': [], 'Ulimits': None, 'IpcMode': 'private',
            'MemorySwap': 200 * MIB, 'MemorySwappiness': None, 'ShmSize': 67108864, 'DeviceRequests': None, 'Mounts': None}
    answers = {
        '/containers/json?all=0': [{'Id': 'b' * 64}, {'Id': 'a' * 64}],
        f'/containers/{"a" * 64}/json': {'Name': '/old', 'State': {'Running': True}, 'HostConfig': host,
                                         'Config': {'Image': 'busybox', 'Cmd': ['sh'], 'Entrypoint': None, 'Labels': None, 'Env': None,
                                                    'ExposedPorts': {'80/tcp': {}}, 'Volumes': None, 'OnBuild': None}},
        f'/containers/{"b" * 64}/json': {'Name': '/new', 'State': {'Running': True}, 'HostConfig': {**host, 'Runtime': 'nvidia'},
                                         'Config': {'Image': 'busybox', 'Cmd': None, 'Labels': {'a': 'b'}}},
        f'/containers/{"a" * 64}/stats?stream=false&one-shot=true': {'memory_stats': {'usage': 90, 'stats': {'inactive_file': 20}}},
    }
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        body = json.dumps(self.answers.get(self.path, {'message': 'no such thing'})).encode()
        self.send_response(200 if self.path in self.answers else 404)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return 'unix'

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def dockerd(path):
    server = socketserver.ThreadingUnixStreamServer(str(path), Docker)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f'unix://{path}'
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_a_dockerd_runs(small, tmp_path):
    with dockerd(tmp_path / 'docker.sock') as host:
        p = small.hostel('fit', '--docker', '--docker-host', host, '--format', 'json')
    answer = json.loads(p.out)
    assert p.returncode == 2 and p.err == ''
    assert [(i['name'], i['verdict']) for i in answer['instances']] == [('old', 'admitted'), ('new', 'never')]
    assert answer['instances'][0]['demand'] == {'cpu_milli': 500, 'memory_bytes': 100 * MIB, 'disk_bytes': 0, 'gpus': 0}
    assert answer['instances'][1]['reason'] == 'unknown or invalid runtime name: nvidia'


def test_memory_that_it_uses_now_will_be_free(new_hosteld):
    """It counts as the host's own as long as it runs elsewhere."""
    d = new_hosteld()
    wait_for(lambda: d.api('GET', '/hostel/v1/resources').json['host']['disk_bytes'] > 0)  # measured
    ask = lambda n: d.api('POST', '/hostel/v1/fit', {'Instances': [{'Name': 'a', 'Body': {'Image': 'x'}, 'HostMemory': n}]}).json
    assert ask(1 << 50)['R_free']['memory_bytes'] == ask(0)['R_total']['memory_bytes']
    assert ask(0)['R_free']['memory_bytes'] <= ask(0)['R_total']['memory_bytes']
