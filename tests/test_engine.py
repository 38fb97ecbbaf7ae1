# SPDX-License-Identifier: Apache-2.0
"""Life of an instance through the API: queue and holds, restart policies, waits, events, names, volumes."""
import concurrent.futures, json, os, re, select, socket, subprocess, threading, time

import pytest

from test_recovery import crash, start_with, state, wait_for

SLEEP = ['busybox', 'sleep', '1000']


@pytest.fixture
def tight(new_hosteld, busybox_tar):
    """A host of 1 GiB for instances."""
    d = new_hosteld('--memory-total', '2g', '--reserve-memory', '512m', '--manage-memory', '512m')
    d.ok('load', '-q', '-i', busybox_tar)
    return d


def created(d, name, labels=None, cmd=('sleep', '1000'), **host):
    a = d.api('POST', f'/containers/create?name={name}', {'Image': 'busybox', 'Cmd': list(cmd), 'Labels': labels or {},
                                                           'HostConfig': host})
    assert a.status == 201, a.body
    return a.json['Id']


def resources(d):
    return d.api('GET', '/hostel/v1/resources').json


# ---- queue ----

def test_two_starts_never_share_the_same_free_byte(tight):
    for i in range(6):
        created(tight, f'q{i}', {'hostel.queue': 'wait'}, Memory=300 << 20)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda i: tight.api('POST', f'/containers/q{i}/start'), range(6)))
    assert [(a.status, a.body) for a in answers] == [(204, b'')] * 6
    wait_for(lambda: sum(state(tight, f'q{i}')['Running'] for i in range(6)) == 3)
    r = resources(tight)
    assert r['R_total']['memory_bytes'] == 1 << 30
    assert r['R_free']['memory_bytes'] == (1 << 30) - 3 * (300 << 20)
    assert len(tight.api('GET', '/hostel/v1/queue').json) == 3


def test_the_reason_says_what_how_much_and_who(tight):
    tight.ok('run', '-d', '--name', 'db', '-m', '800m', *SLEEP)
    p = tight.hostel('run', '-d', '--name', 'web', '-m', '600m', *SLEEP)
    assert p.returncode == 0
    queue = tight.api('GET', '/hostel/v1/queue').json
    assert [q['name'] for q in queue] == ['web']
    assert queue[0]['reason'] == 'memory: needs 600 MiB, 224 MiB free; held by db (no end known)'
    assert 'queued' in p.err and 'memory' in p.err
    tight.ok('rm', '-f', 'db')
    wait_for(lambda: state(tight, 'web')['Running'])


def test_what_can_never_start_is_refused_with_the_numbers(tight):
    a = tight.api('POST', '/containers/create?name=big', {'Image': 'busybox', 'HostConfig': {'Memory': 2 << 30}})
    assert a.status == 201 and 'memory: needs 2 GiB, this host has 1 GiB' in a.json['Warnings'][0]
    a = tight.api('POST', '/containers/big/start')
    assert a.status == 500 and 'memory: needs 2 GiB, this host has 1 GiB' in a.json['message']
    assert state(tight, 'big')['Status'] == 'created'


def test_best_effort_does_not_wait_behind_others(tight):
    tight.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    tight.hostel('run', '-d', '--name', 'waits', '-m', '900m', *SLEEP)
    assert tight.ok('run', '--rm', 'busybox', 'echo', 'quick') == 'quick'  # they sleep for longer than this waits


def test_a_start_without_a_client_is_held_and_then_told_why(new_hosteld, busybox_tar):
    d = new_hosteld('--memory-total', '2g', '--reserve-memory', '512m', '--manage-memory', '512m', '--hold-timeout', '1s')
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    created(d, 'late', Memory=500 << 20)
    t = time.monotonic()
    a = d.api('POST', '/containers/late/start')
    assert time.monotonic() - t > 0.9
    assert a.status == 500
    assert a.json['message'].startswith('not started: memory: needs 500 MiB, 124 MiB free')
    assert 'hostel.queue=wait' in a.json['message']
    assert state(d, 'late')['Status'] == 'created'
    assert d.api('GET', '/hostel/v1/queue').json == []


def test_a_held_start_goes_with_its_client(tight):
    tight.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    p = tight.popen('run', '--name', 'held', '-m', '500m', 'busybox', 'true')
    wait_for(lambda: tight.api('GET', '/hostel/v1/queue').json)
    p.kill()
    p.wait()
    wait_for(lambda: not tight.api('GET', '/hostel/v1/queue').json)


def test_a_second_start_joins_the_first(tight):
    tight.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    created(tight, 'twice', Memory=500 << 20)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = [pool.submit(tight.api, 'POST', '/containers/twice/start') for _ in range(2)]
        wait_for(lambda: tight.api('GET', '/hostel/v1/queue').json)
        time.sleep(0.2)
        tight.ok('rm', '-f', 'db')
        assert [b.result().status for b in both] == [204, 204]
    assert state(tight, 'twice')['Running']


@pytest.mark.parametrize('verb', ['stop', 'kill', 'rm'])
def test_stop_kill_and_rm_withdraw(tight, verb):
    tight.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    created(tight, 'waits', Memory=500 << 20)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        start = pool.submit(tight.api, 'POST', '/containers/waits/start')
        wait_for(lambda: tight.api('GET', '/hostel/v1/queue').json)
        assert tight.api('POST', '/containers/waits/kill?signal=WINCH').status == 409
        path = {'stop': '/containers/waits/stop', 'kill': '/containers/waits/kill?signal=TERM', 'rm': '/containers/waits'}
        a = tight.api('DELETE' if verb == 'rm' else 'POST', path[verb])
        assert a.status == 204, a.body
        assert start.result().status == 500
    s = state(tight, 'waits')
    assert s is None if verb == 'rm' else s['Status'] == 'created'


def test_queued_starts_survive_the_daemon_and_held_ones_do_not(tight):
    tight.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    created(tight, 'queued', {'hostel.queue': 'wait'}, Memory=500 << 20)
    created(tight, 'held', Memory=500 << 20)
    assert tight.api('POST', '/containers/queued/start').status == 204
    p = tight.popen('start', '-a', 'held')
    wait_for(lambda: len(tight.api('GET', '/hostel/v1/queue').json) == 2)
    p.kill()
    p.wait()
    crash(tight)
    assert [q['name'] for q in tight.api('GET', '/hostel/v1/queue').json] == ['queued']
    assert state(tight, 'held')['Status'] == 'created'
    tight.ok('rm', '-f', 'db')
    wait_for(lambda: state(tight, 'queued')['Running'])


def test_killed_while_it_waits(tight):
    """The crash phase `queued`: the start is committed, nobody was told."""
    tight.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    created(tight, 'queued', {'hostel.queue': 'wait'}, Memory=500 << 20)
    tight.kill()
    start_with(tight, HOSTEL_CRASH_AT='queued')
    with pytest.raises(Exception):
        tight.api('POST', '/containers/queued/start')
    tight.process.wait(10)
    tight.start()
    tight.ok('rm', '-f', 'db')
    wait_for(lambda: state(tight, 'queued')['Running'])


# ---- policies ----

def test_a_restart_policy_backs_off(hosteld):
    hosteld.ok('run', '-d', '--name', 'fails', '--restart', 'on-failure:3', 'busybox', 'false')
    wait_for(lambda: hosteld.api('GET', '/containers/fails/json').json['RestartCount'] == 3)
    wait_for(lambda: state(hosteld, 'fails')['Status'] == 'exited')
    starts = [e['timeNano'] for e in events(hosteld, 'fails') if e['Action'] == 'start']
    assert len(starts) == 4
    gaps = [(b - a) / 1e9 for a, b in zip(starts, starts[1:])]
    assert gaps[0] >= 0.1 and gaps[1] >= 0.2 and gaps[2] >= 0.4


def test_a_stop_ends_a_restart_policy(hosteld):
    hosteld.ok('run', '-d', '--name', 'always', '--restart', 'always', 'busybox', 'sh', '-c', 'sleep 0.2')
    wait_for(lambda: hosteld.api('GET', '/containers/always/json').json['RestartCount'] >= 1)
    hosteld.ok('stop', '-t', '0', 'always')
    time.sleep(1)
    assert not state(hosteld, 'always')['Running']


# ---- waits ----

def test_wait_not_running_on_a_created_one_answers_at_once(hosteld):
    id = created(hosteld, 'never')
    assert hosteld.api('POST', f'/containers/{id}/wait').json['StatusCode'] == 0


def test_wait_next_exit_waits_for_the_next(hosteld):
    created(hosteld, 'nexts', cmd=('sh', '-c', 'exit 7'))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        wait = pool.submit(hosteld.api, 'POST', '/containers/nexts/wait?condition=next-exit')
        time.sleep(0.3)
        assert not wait.done()
        hosteld.ok('start', 'nexts')
        assert wait.result(10).json['StatusCode'] == 7


def test_wait_removed_gives_the_code(hosteld):
    created(hosteld, 'goes', cmd=('sh', '-c', 'exit 8'), AutoRemove=True)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        wait = pool.submit(hosteld.api, 'POST', '/containers/goes/wait?condition=removed')
        time.sleep(0.2)
        hosteld.ok('start', 'goes')
        assert wait.result(10).json['StatusCode'] == 8
    assert state(hosteld, 'goes') is None


def test_not_running_on_a_queued_one_waits_for_the_end(tight):
    tight.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    created(tight, 'later', {'hostel.queue': 'wait'}, cmd=('sh', '-c', 'exit 9'), Memory=500 << 20)
    assert tight.api('POST', '/containers/later/start').status == 204
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        wait = pool.submit(tight.api, 'POST', '/containers/later/wait')
        time.sleep(0.5)
        assert not wait.done()
        tight.ok('rm', '-f', 'db')
        assert wait.result(10).json['StatusCode'] == 9


# ---- start errors ----

@pytest.mark.parametrize('cmd,code,words', [(['nosuch'], 127, 'executable file not found'),
                                            (['/etc/passwd'], 126, 'permission denied')])
def test_a_command_that_cannot_run(hosteld, cmd, code, words):
    created(hosteld, 'cannot', cmd=cmd)
    a = hosteld.api('POST', '/containers/cannot/start')
    assert a.status in (400, 404, 500) and words in a.json['message']
    s = state(hosteld, 'cannot')
    assert (s['Status'], s['ExitCode']) == ('created', code) and words in s['Error']
    hosteld.ok('rm', 'cannot')


# ---- events ----

def events(d, name):
    a = d.api('GET', f'/events?since=1&until={int(time.time()) + 1}&filters=' +
              json.dumps({'container': [name]}).replace(' ', '').replace('"', '%22').replace('{', '%7B').replace('}', '%7D')
              .replace('[', '%5B').replace(']', '%5D'), timeout=20)
    return [json.loads(l) for l in a.body.splitlines()]


def test_events_are_dockers(hosteld):
    hosteld.ok('run', '-d', '--name', 'told', *SLEEP)
    hosteld.ok('exec', 'told', 'true')
    hosteld.ok('pause', 'told')
    hosteld.ok('unpause', 'told')
    hosteld.ok('rename', 'told', 'told2')
    hosteld.ok('update', '-m', '64m', 'told2')
    hosteld.ok('stop', '-t', '0', 'told2')
    id = hosteld.api('GET', '/containers/told2/json').json['Id']
    hosteld.ok('rm', 'told2')
    actions = [e['Action'] for e in events(hosteld, id)]
    assert actions == ['create', 'start', 'exec_create: true', 'exec_start: true', 'exec_die', 'pause', 'unpause', 'rename',
                       'update', 'kill', 'kill', 'die', 'stop', 'destroy']
    die = [e for e in events(hosteld, id) if e['Action'] == 'die'][0]
    assert die['Actor']['Attributes']['exitCode'] == '137' and die['Actor']['Attributes']['image'] == 'busybox'


# ---- names ----

def test_names(hosteld):
    id = created(hosteld, 'taken')
    a = hosteld.api('POST', '/containers/create?name=taken', {'Image': 'busybox'})
    assert a.status == 409
    assert a.json['message'] == (f'Conflict. The container name "/taken" is already in use by container "{id}". You have to '
                                 'remove (or rename) that container to be able to reuse that name.')
    for bad in ('a%2Fb', 'a%0Ab', '-x', 'x'):
        assert hosteld.api('POST', f'/containers/create?name={bad}', {'Image': 'busybox'}).status == 400
    generated = hosteld.api('POST', '/containers/create', {'Image': 'busybox'}).json['Id']
    assert re.fullmatch(r'/[a-z]+_[a-z]+\d*', hosteld.api('GET', f'/containers/{generated}/json').json['Name'])
    assert hosteld.api('GET', f'/containers/{id[:12]}/json').json['Id'] == id


# ---- volumes ----

def test_a_named_volume_outlives_and_an_anonymous_one_goes_with_rm(hosteld):
    hosteld.ok('run', '--rm', '-v', 'kept:/data', '-v', '/anon', 'busybox', 'sh', '-c', 'echo text > /data/file; touch /anon/x')
    names = [v['Name'] for v in hosteld.api('GET', '/volumes').json['Volumes']]
    assert names == ['kept']
    assert hosteld.ok('run', '--rm', '-v', 'kept:/data', 'busybox', 'cat', '/data/file') == 'text'
    hosteld.ok('run', '-d', '--name', 'user', '-v', 'kept:/data', *SLEEP)
    assert hosteld.api('DELETE', '/volumes/kept').status == 409
    hosteld.ok('rm', '-f', 'user')
    assert hosteld.api('DELETE', '/volumes/kept').status == 204


def test_a_new_volume_gets_what_the_image_has(hosteld):
    assert 'passwd' in hosteld.ok('run', '--rm', '-v', 'copy:/etc', 'busybox', 'ls', '/etc').split()
    assert hosteld.api('DELETE', '/volumes/copy').status == 204


# ---- speed and size ----

def test_a_hundred_runs_leave_a_small_daemon(hosteld):
    for n in range(100):
        id = created(hosteld, f'many{n}', cmd=('true',), NetworkMode='none')
        assert hosteld.api('POST', f'/containers/{id}/start').status == 204
        assert hosteld.api('POST', f'/containers/{id}/wait').json['StatusCode'] == 0
        assert hosteld.api('DELETE', f'/containers/{id}').status == 204
    text = open(f'/proc/{hosteld.process.pid}/smaps_rollup').read()
    assert int(re.search(r'^Pss: *(\d+)', text, re.M).group(1)) <= 8 << 10


def test_fifty_at_once(hosteld):
    ids = [created(hosteld, f'par{n}', NetworkMode='none') for n in range(50)]
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert set(pool.map(lambda i: hosteld.api('POST', f'/containers/{i}/start').status, ids)) == {204}
    assert all(state(hosteld, i)['Running'] for i in ids)


# ---- a Docker client that waits ----

def test_docker_run_is_told_why_it_waits_and_then_runs(tight):
    tight.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    from conftest import docker_program
    p = subprocess.Popen([docker_program(), 'run', '--rm', '-m', '500m', 'busybox', 'echo', 'ran'], env=tight.env, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: tight.api('GET', '/hostel/v1/queue').json)
    time.sleep(0.6)
    tight.ok('rm', '-f', 'db')
    out, err = p.communicate(timeout=30)
    assert p.returncode == 0 and out == 'ran\n'
    assert err.splitlines()[0].endswith('memory: needs 500 MiB, 124 MiB free; held by db (no end known)')


def test_ctrl_c_withdraws_a_docker_run_with_and_without_a_terminal(tight):
    import pty, signal
    from conftest import docker_program
    tight.ok('run', '-d', '--name', 'db', '-m', '900m', *SLEEP)
    p = subprocess.Popen([docker_program(), 'run', '--rm', '--name', 'plain', '-m', '500m', 'busybox', 'true'], env=tight.env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: tight.api('GET', '/hostel/v1/queue').json)
    p.send_signal(signal.SIGINT)
    wait_for(lambda: not tight.api('GET', '/hostel/v1/queue').json)
    assert p.wait(20) != 0
    wait_for(lambda: state(tight, 'plain') is None)
    main, side = pty.openpty()
    p = subprocess.Popen([docker_program(), 'run', '--rm', '-it', '--name', 'term', '-m', '500m', 'busybox', 'true'],
                         env=tight.env, stdin=side, stdout=side, stderr=side, start_new_session=True)
    os.close(side)
    wait_for(lambda: tight.api('GET', '/hostel/v1/queue').json)
    time.sleep(0.5)
    os.write(main, b'\x03')
    wait_for(lambda: not tight.api('GET', '/hostel/v1/queue').json)
    assert p.wait(20) != 0
    wait_for(lambda: state(tight, 'term') is None)
    os.close(main)


# ---- images ----

def test_tags_are_short_and_the_last_one_deletes(new_hosteld, busybox_tar):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    names = lambda: sorted(t for i in d.api('GET', '/images/json').json for t in i['RepoTags'])
    first = names()
    d.ok('tag', 'busybox', 'localhost:5000/a/b:c')
    d.ok('tag', 'busybox', 'other')
    assert names() == sorted(first + ['localhost:5000/a/b:c', 'other:latest'])
    id = d.api('GET', '/images/other/json').json['Id']
    assert d.api('GET', f'/images/{id[7:19]}/json').json['Id'] == id
    assert d.api('GET', '/images/Other/json').status in (400, 404)
    d.ok('create', '--name', 'user', 'other')
    d.ok('rmi', 'localhost:5000/a/b:c', *first)
    assert names() == ['other:latest']
    assert d.api('DELETE', '/images/other').status == 409
    d.ok('rm', 'user')
    d.ok('rmi', 'other')
    assert d.api('GET', '/images/json').json == []
    wait_for(lambda: not os.listdir(d.root / 'layers/sha256') and not os.listdir(d.root / 'blobs/sha256') and
             not os.listdir(d.root / 'tmp'))


# ---- update ----

MBIT = 1000000


def acked(s):
    """Bytes that the peer has confirmed: tcpi_bytes_acked."""
    return int.from_bytes(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)[120:128], 'little')


def rates_of(server, seconds=1.5):
    """Bits per second that an instance sends and receives, its shell loop being connected to `server`."""
    s, _ = server.accept()
    with s:
        s.settimeout(30)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
        for _ in range(8):
            s.recv(64 << 10)
        got, t, end = 0, time.monotonic(), time.monotonic() + seconds
        while time.monotonic() < end:
            got += len(s.recv(1 << 20))
        out = got * 8 / (time.monotonic() - t)
    s, _ = server.accept()
    with s:
        s.setblocking(False)
        before, t, end = None, None, time.monotonic() + seconds + 0.5
        while time.monotonic() < end:
            select.select([], [s], [], 0.1)
            try:
                s.send(b'x' * 65536)
            except BlockingIOError:
                pass
            if before is None and time.monotonic() > end - seconds:
                before, t = acked(s), time.monotonic()
        return out, (acked(s) - before) * 8 / (time.monotonic() - t)


@pytest.fixture
def rate_server(hosteld):
    hosteld.ok('run', '--rm', 'busybox', 'true')
    with socket.create_server((hosteld.api('GET', '/hostel/v1/info').json['gateway'], 0)) as s:
        s.settimeout(120)
        yield s


def talker(server):
    """A shell loop that sends as much as it can, then receives as much as it can."""
    to = ' '.join(map(str, server.getsockname()))
    return ['sh', '-c', f'while :; do nc {to} < /dev/zero; nc {to} > /dev/null; done']


def hostel_part(d, name):
    return d.api('GET', f'/containers/{name}/json').json['Hostel']


def assert_rates(server, out, into):
    """A busy host may make one measurement slow; none can bring a rate that nobody set near the wanted one."""
    for _ in range(8):
        got = rates_of(server)
        if got == pytest.approx((out, into), rel=0.25):
            return
    assert got == pytest.approx((out, into), rel=0.25)


def update_rates_and_measure(d, name, server):
    assert_rates(server, 8 * MBIT, 24 * MBIT)
    d.ok('update', '--net-rate', '24mbit,8mbit', name)
    assert (hostel_part(d, name)['NetEgressBps'], hostel_part(d, name)['NetIngressBps']) == (24 * MBIT, 8 * MBIT)
    assert_rates(server, 24 * MBIT, 8 * MBIT)


def test_the_network_rate_of_a_running_container_is_changed_and_lifted(hosteld, rate_server):
    hosteld.ok('run', '-d', '--init', '--name', 'net', '--net-rate', '8mbit,24mbit', 'busybox', *talker(rate_server))
    update_rates_and_measure(hosteld, 'net', rate_server)
    crash(hosteld)
    hosteld.ok('update', '--net-rate', '0', 'net')
    wait_for(lambda: min(rates_of(rate_server)) > 40 * MBIT, 60)
    j = hosteld.api('GET', '/containers/net/json').json
    assert j['Config']['Labels']['hostel.net-rate'] == '0'
    assert (j['Hostel']['NetEgressBps'], j['Hostel']['NetIngressBps']) == (0, 0)


def test_the_network_rate_of_a_stopped_container_holds_at_its_next_start(hosteld, rate_server):
    hosteld.ok('create', '--name', 'net', '--net-rate', '100mbit', 'busybox', *talker(rate_server))
    hosteld.ok('update', '--net-rate', '8mbit,24mbit', 'net')
    hosteld.ok('start', 'net')
    assert_rates(rate_server, 8 * MBIT, 24 * MBIT)


@pytest.mark.parametrize('network', ['none', 'host'])
def test_a_rate_without_a_link_of_its_own_is_refused_by_name(hosteld, network):
    hosteld.ok('run', '-d', '--name', 'net', '--network', network, *SLEEP)
    p = hosteld.hostel('update', '--net-rate', '8mbit', 'net')
    assert p.returncode and f'--net-rate needs a network of its own, not {network}' in p.err, p.err
    assert hostel_part(hosteld, 'net')['NetEgressBps'] == 0


@pytest.mark.parametrize('rate', ['fast', '-1mbit', '8mbit,', ''])
def test_a_bad_rate_is_refused(hosteld, rate):
    hosteld.ok('create', '--name', 'net', *SLEEP)
    assert hosteld.api('POST', '/containers/net/update', {'NetRate': rate}).status == 400
    assert hosteld.api('POST', '/containers/net/update', {'NetRate': 5}).status == 400


def test_an_update_takes_only_what_is_free(tight):
    tight.ok('run', '-d', '--name', 'db', '-m', '600m', *SLEEP)
    tight.ok('run', '-d', '--name', 'web', '-m', '300m', *SLEEP)
    p = tight.hostel('update', '-m', '500m', 'web')
    assert p.returncode and 'memory: needs 200 MiB more, 124 MiB free' in p.err
    assert tight.api('GET', '/containers/web/json').json['HostConfig']['Memory'] == 300 << 20
    tight.ok('update', '-m', '400m', 'web')
    assert resources(tight)['R_free']['memory_bytes'] == 24 << 20
    tight.ok('update', '-m', '100m', 'db')
    created(tight, 'waits', {'hostel.queue': 'wait'}, Memory=900 << 20)
    assert tight.api('POST', '/containers/waits/start').status == 204
    p = tight.hostel('update', '-m', '3g', 'waits')
    assert p.returncode and 'memory: needs 3 GiB, this host has 1 GiB' in p.err
    tight.ok('update', '-m', '500m', 'waits')
    wait_for(lambda: state(tight, 'waits')['Running'])


# ---- health checks ----

CHECK = ['--health-cmd', 'cat /state; test "$(cat /state)" = good', '--health-interval', '300ms', '--health-timeout', '20s',
         '--health-retries', '2']


def health(d, name):
    return d.api('GET', f'/containers/{name}/json').json['State'].get('Health')


def becomes(d, name, status, timeout=60):
    return wait_for(lambda: (h := health(d, name)) and h['Status'] == status and h, timeout)


def check_health(d, *kind):
    """From starting to healthy, unhealthy and back, seen by every client."""
    d.ok('run', '-d', *kind, '--name', 'sick', *CHECK, '--health-start-period', '1h', '--health-start-interval', '300ms', 'busybox',
         'sh', '-c', 'echo bad > /state; sleep 1000', timeout=120)
    assert health(d, 'sick')['Status'] == 'starting'
    h = wait_for(lambda: (h := health(d, 'sick'))['Log'] and h)
    assert (h['Status'], h['FailingStreak'], h['Log'][0]['ExitCode'], h['Log'][0]['Output']) == ('starting', 0, 1, 'bad\n')
    d.ok('exec', 'sick', 'sh', '-c', 'echo good > /state')
    h = becomes(d, 'sick', 'healthy')
    assert (h['FailingStreak'], h['Log'][-1]['ExitCode'], h['Log'][-1]['Output']) == (0, 0, 'good\n')
    d.ok('exec', 'sick', 'sh', '-c', 'echo bad > /state')
    h = becomes(d, 'sick', 'unhealthy')
    assert h['FailingStreak'] >= 2 and len(h['Log']) <= 5


def test_a_health_check_is_run_and_told(hosteld):
    since = int(time.time())
    check_health(hosteld)
    shown = hosteld.docker('ps', '--format', '{{.Names}} {{.Status}}', '--filter', 'health=unhealthy').out
    assert re.fullmatch(r'sick Up .* \(unhealthy\)', shown)
    assert hosteld.docker('ps', '-q', '--filter', 'health=healthy').out == ''
    crash(hosteld)
    assert health(hosteld, 'sick')['Status'] == 'unhealthy', 'a new daemon goes on where the old one was'
    hosteld.ok('exec', 'sick', 'sh', '-c', 'echo good > /state')
    becomes(hosteld, 'sick', 'healthy')
    hosteld.ok('pause', 'sick')
    n = len(hosteld.api('GET', f'/events?since={since}&until={int(time.time()) + 1}').body.splitlines())
    time.sleep(1)
    assert len(hosteld.api('GET', f'/events?since={since}&until={int(time.time()) + 1}').body.splitlines()) == n
    hosteld.ok('unpause', 'sick')
    hosteld.ok('stop', '-t', '0', 'sick')
    assert health(hosteld, 'sick') is None
    hosteld.ok('start', 'sick')
    assert health(hosteld, 'sick')['Status'] in ('starting', 'healthy')


def test_changes_of_health_are_events(hosteld):
    events = hosteld.popen('events', '--filter', 'container=sick', '--format', '{{.Action}}')
    try:
        time.sleep(0.3)
        hosteld.ok('run', '-d', '--name', 'sick', *CHECK, 'busybox', 'sh', '-c', 'echo bad > /state; sleep 1000')
        becomes(hosteld, 'sick', 'unhealthy')
        hosteld.ok('exec', 'sick', 'sh', '-c', 'echo good > /state')
        becomes(hosteld, 'sick', 'healthy')
        hosteld.ok('rm', '-f', 'sick')
        wait_for(lambda: not hosteld.api('GET', '/containers/json?all=1').json)
    finally:
        time.sleep(0.3)
        events.terminate()
    told = [l for l in events.communicate()[0].splitlines() if 'health_status' in l]
    assert [t[t.index('health_status'):].split()[1].strip('"') for t in told] == ['unhealthy', 'healthy']


def test_a_check_that_hangs_or_cannot_run_fails(hosteld):
    hosteld.ok('run', '-d', '--name', 'slow', '--health-cmd', 'sleep 1000', '--health-interval', '200ms', '--health-timeout', '300ms',
               '--health-retries', '1', 'busybox', 'sleep', '1000')
    h = becomes(hosteld, 'slow', 'unhealthy')
    assert (h['Log'][-1]['ExitCode'], h['Log'][-1]['Output']) == (-1, 'Health check exceeded timeout (0.3s)')
    wait_for(lambda: hosteld.ok('top', 'slow').count('sleep 1000') <= 2, 30)
    a = hosteld.api('POST', '/containers/create?name=none', {'Image': 'busybox', 'Cmd': ['sleep', '1000'], 'Healthcheck': {
        'Test': ['CMD', '/nonexistent'], 'Interval': 200000000, 'Retries': 1}})
    assert a.status == 201
    hosteld.ok('start', 'none')
    assert 'no such file' in becomes(hosteld, 'none', 'unhealthy')['Log'][-1]['Output'].lower()
    hosteld.ok('run', '-d', '--name', 'off', '--no-healthcheck', 'busybox', 'sleep', '1000')
    assert health(hosteld, 'off') is None


def test_a_check_may_say_more_than_is_kept(hosteld):
    hosteld.ok('run', '-d', '--name', 'loud', '--health-cmd', 'head -c 3000000 /dev/zero | tr "\\\\0" x', '--health-interval', '200ms',
               'busybox', 'sleep', '1000')
    assert becomes(hosteld, 'loud', 'healthy')['Log'][-1]['Output'] == 'x' * 4096
