# SPDX-License-Identifier: Apache-2.0
"""What the numbers say: accounting, resources, queue, fit (docs/numbers.md)."""
import csv, datetime, io, json, re, sqlite3, time

import pytest

from conftest import waiter

wait_for = waiter(60)
S = 1_000_000_000
COLUMNS = ('cpu_milli', 'memory_bytes', 'disk_bytes', 'gpus')


def document(h, *args):
    return json.loads(h.ok(*args, '--format', 'json'))


def table(text):
    lines = text.splitlines()
    return [dict(zip(re.split('  +', lines[0].strip()), re.split('   +', l.strip()))) for l in lines[1:] if l.strip()]


@pytest.fixture
def small(new_hosteld, busybox_tar):
    h = new_hosteld('--memory-total', '1g', '--reserve-memory', '100m', '--manage-memory', '128m', '--cpus-total', '2')
    h.ok('load', '-q', '-i', busybox_tar)
    return h


# ---- resources ----

def shown(cell):
    """'- 12.5' of the table in tenths."""
    return round(float(cell.replace('- ', '-').replace('+ ', '')) * 1000)


def test_resources_add_up_to_the_byte_and_as_they_are_shown(small):
    h = small
    h.ok('run', '-d', '--name', 'aa', '-m', '100m', '--cpus', '0.3', 'busybox', 'sleep', '600')
    h.ok('run', '-d', '--name', 'bb', '-m', '33333333', 'busybox', 'sleep', '600')
    h.ok('run', '-d', '--name', 'free', 'busybox', 'sleep', '600')
    r = document(h, 'resources')
    holders = {x['name']: x for x in r['holders']}
    assert set(holders) == {'host', 'aa', 'bb', 'free'}
    assert holders['aa']['memory_bytes'] == 100 << 20 and holders['bb']['memory_bytes'] == 33333333 and holders['aa']['cpu_milli'] == 300
    assert holders['free']['best_effort'] == ['cpu', 'memory']
    for c in COLUMNS:
        assert r['R_free'][c] == r['R_total'][c] - sum(x[c] for x in r['holders'] if x['kind'] != 'host') - r['host'][c], c
    assert r['M_0'] > 100000 and holders['aa']['manage_bytes'] > 0
    assert r['M_free'] == r['M_total'] - r['M_0'] - sum(x['manage_bytes'] for x in r['holders'] if x['kind'] != 'host')
    for name, unit in (('cpu', 'cpu_milli'), ('memory', 'memory_bytes'), ('disk', 'disk_bytes')):
        s = r['sources'][name]
        assert r['R_total'][unit] == (s['T'] - s['S']) * s['overcommit_milli'] // 1000, name

    sources, held, manage, policy = h.ok('resources').split('\n\n')
    assert policy.startswith('policy: ')
    lines = [re.split('   +', l) for l in held.splitlines()]
    assert lines[0] == ['', 'CPU', 'MEMORY (MiB)', 'DISK (MiB)', 'GPUS']
    assert [l[0] for l in lines[1:]] == ['R_total', 'host', 'aa', 'bb', 'free', 'R_free']
    for i in range(1, 5):
        column = [shown(l[i]) for l in lines[1:]]
        assert sum(column[:-1]) == column[-1], (i, held)
    column = [shown(re.split('   +', l)[1]) for l in manage.splitlines()[1:]]
    assert len(column) == 6 and sum(column[:-1]) == column[-1], manage


def test_resources_as_csv_are_exact(small):
    h = small
    h.ok('run', '-d', '--name', 'aa', '-m', '100m', 'busybox', 'sleep', '600')
    rows = list(csv.DictReader(io.StringIO(h.ok('resources', '--format', 'csv'))))
    assert [r['row'] for r in rows] == ['total', 'holder', 'holder', 'free']
    for c in (*COLUMNS, 'manage_bytes'):
        v = [int(r[c]) for r in rows]
        assert v[0] - sum(v[1:-1]) == v[-1], c


# ---- accounting ----

def test_a_start_is_accounted_with_its_wait_its_pause_and_what_it_held(small):
    h = small
    h.ok('run', '-d', '--name', 'first', '-m', '600m', '--cpus', '1', 'busybox', 'sleep', '600')
    h.ok('run', '-d', '--name', 'second', '-m', '600m', 'busybox', 'sleep', '600')
    wait_for(lambda: h.ok('queue', '-q'))
    h.ok('pause', 'first')
    time.sleep(0.5)
    live = {s['name']: s for s in document(h, 'accounting')['starts']}
    assert live['first']['finish_ns'] is None and live['first']['paused_ns'] >= 0.5 * S, 'a pause that goes on counts'
    assert live['first']['T_ns'] + live['first']['paused_ns'] + live['first']['waiting_ns'] == live['first']['turnaround_ns']
    assert live['second']['admission_ns'] is None and live['second']['T_ns'] == 0 and live['second']['slowdown'] is None
    h.ok('unpause', 'first')
    h.ok('rm', '-f', 'first')
    h.ok('rm', '-f', '-v', 'second')
    wait_for(lambda: all(s['finish_ns'] for s in document(h, 'accounting')['starts']))
    doc = document(h, 'accounting')
    a, b = (next(s for s in doc['starts'] if s['name'] == n) for n in ('first', 'second'))
    assert b['waiting_ns'] >= 0.5 * S and (b['admission_ns'] is None or b['admission_ns'] >= a['finish_ns'])
    assert (a['cpu_milli'], a['memory_bytes'], a['user'], a['image']) == (1000, 600 << 20, 'root', 'busybox')
    for s in doc['starts']:
        assert s['turnaround_ns'] == s['finish_ns'] - s['arrival_ns'] == s['T_ns'] + s['paused_ns'] + s['waiting_ns']
        if s['T_ns']:
            assert s['slowdown'] == pytest.approx((s['turnaround_ns'] - s['paused_ns']) / s['T_ns'])
    assert doc['sums']['T_total_ns'] == sum(s['T_ns'] for s in doc['starts'])
    assert doc['sums']['T_wait_ns'] == sum(s['waiting_ns'] for s in doc['starts'])
    assert doc['sums']['starts'] == 2 and doc['sums']['running'] == 0
    assert re.search(r'^first +container +root ', h.ok('accounting'), re.M) and 'T_wait: ' in h.ok('accounting')


DAY = datetime.datetime(2026, 3, 10)


def history(h, n):
    """Write @n records of a known past into the store of a stopped daemon: user 0 and 1 in turns, one a minute, from DAY noon on."""
    start = int((DAY + datetime.timedelta(hours=12)).timestamp()) * S
    db = sqlite3.connect(h.root / 'hostel.db')
    for i in range(n):
        t = start + i * 60 * S
        doc = {'id': f'{i:064x}', 'name': f'job{i}', 'kind': 'container', 'image': 'busybox', 'uid': i % 2, 'arrival_ns': t, 'admission_ns': t + i % 10 * S,
               'start_ns': t + i % 10 * S, 'finish_ns': t + i % 10 * S + 10 * S, 'paused_ns': 0, 'sliced_ns': 0, 'cpu_milli': 500, 'memory_bytes': 1 << 20}
        db.execute('INSERT INTO accounts(instance, doc) VALUES(?, ?)', (doc['id'], json.dumps(doc)))
    db.commit()
    db.close()
    return start


@pytest.fixture(scope='module')
def past(root_only):
    from conftest import Hosteld
    h = Hosteld('--memory-total', '1g', '--reserve-memory', '0', '--cpus-total', '2')
    h.start()
    h.stop()
    h.history_from = history(h, 2500)
    h.start()
    yield h
    h.teardown()


def test_history_goes_beyond_a_page_and_percentiles_are_exact(past):
    doc = document(past, 'accounting')
    assert len(doc['starts']) == 2500 and [s['name'] for s in doc['starts'][:2]] == ['job2499', 'job2498']
    s = doc['sums']
    assert (s['starts'], s['T_total_ns'], s['T_wait_ns']) == (2500, 25000 * S, 250 * 45 * S)
    assert (s['mean_wait_ns'], s['median_wait_ns'], s['p95_wait_ns'], s['p99_wait_ns'], s['max_wait_ns']) == (4.5 * S, 4 * S, 9 * S, 9 * S, 9 * S)
    assert s['mean_turnaround_ns'] == 14.5 * S and s['mean_slowdown'] == pytest.approx(1.45) and s['max_slowdown'] == pytest.approx(1.9)
    assert s['span_ns'] == s['makespan_ns'] == (2499 * 60 + 19) * S
    assert s['cpu_utilisation'] == pytest.approx(2500 * 10 * 500 / (8000 * s['span_ns'] / S))
    assert s['memory_utilisation'] == pytest.approx(2500 * 10 * (1 << 20) / (document(past, 'resources')['R_total']['memory_bytes'] * s['span_ns'] / S))


def test_a_page_is_bounded_and_says_where_the_next_begins(past):
    first = past.api('GET', '/hostel/v1/accounting').json
    assert len(first['starts']) == 250 and first['next']
    second = past.api('GET', f'/hostel/v1/accounting?limit=40&before={first["next"]}').json
    assert [s['name'] for s in second['starts'][:1]] == ['job2249'] and len(second['starts']) == 40
    assert len(past.api('GET', '/hostel/v1/accounting?limit=100000').json['starts']) == 250
    assert past.api('GET', '/hostel/v1/accounting?since=nonsense').status == 400


def test_since_and_until_choose_what_existed_then(past):
    start = past.history_from // S
    doc = document(past, 'accounting', '--since', str(start + 600), '--until', str(start + 1200))
    assert [s['name'] for s in doc['starts']] == [f'job{i}' for i in range(19, 9, -1)]
    assert doc['sums']['span_ns'] == 600 * S
    assert doc['sums']['cpu_utilisation'] == pytest.approx(10 * 10 * 500 / (8000 * 600))


def test_sums_of_users_and_of_days(past):
    users = {g['user']: g for g in document(past, 'accounting', '--by', 'user')['by_user']}
    assert set(users) == {'root', 'daemon'}
    assert users['root']['starts'] == 1250 and users['root']['T_wait_ns'] == 250 * (0 + 2 + 4 + 6 + 8) * S
    days = {g['day']: g for g in document(past, 'accounting', '--by', 'day')['by_day']}
    assert list(days) == ['2026-03-10', '2026-03-11', '2026-03-12']
    assert [g['starts'] for g in days.values()] == [720, 1440, 340]
    assert days['2026-03-11']['cpu_utilisation'] == pytest.approx(1440 * 10 * 500 / (8000 * 86400))
    out = past.ok('accounting', '--by', 'day')
    assert re.search(r'^2026-03-11 +1440 +0 +14400\.000 +6480\.000 ', out, re.M), out
    rows = list(csv.DictReader(io.StringIO(past.ok('accounting', '--by', 'user', '--format', 'csv'))))
    assert [r['user'] for r in rows] == ['daemon', 'root'] and rows[1]['T_wait_ns'] == str(users['root']['T_wait_ns'])


def test_starts_as_csv_and_as_a_table_of_some(past):
    rows = list(csv.DictReader(io.StringIO(past.ok('accounting', '--format', 'csv'))))
    assert len(rows) == 2500 and rows[0]['name'] == 'job2499' and rows[0]['waiting_ns'] == str(9 * S) and float(rows[0]['slowdown']) == pytest.approx(1.9)
    out = past.ok('accounting', '--limit', '3')
    assert re.findall(r'^job\d+', out, re.M) == ['job2499', 'job2498', 'job2497'] and '2497 older ones are not shown' in out
    assert 'starts: 2500' in out and 'p99_wait: 9.000 s' in out
