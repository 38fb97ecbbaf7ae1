# SPDX-License-Identifier: Apache-2.0
"""hostel simulate: a trace through the scheduler, with numbers known from elsewhere."""
import csv, gzip, io, json, math, os, shutil, subprocess, sys, xml.etree.ElementTree as ET

import pytest

from conftest import ROOT, SHARED, need, run

TRACES = SHARED / 'traces'
SMALL = ROOT / 'tests/data/small.swf'


def simulate(*args, ok=True, **kw):
    p = run(need('hostel'), 'simulate', *args, **kw)
    assert not ok or p.returncode == 0, p.err
    return p


def results(*args, **kw):
    return json.loads(simulate(*args, '--format', 'json', **kw).out)


def trace(name):
    path = TRACES / name
    if not path.exists():
        pytest.skip(f'no trace {path} (Parallel Workloads Archive)')
    return path


def swf(*jobs):
    """Lines of (submit, run, cpus, estimate, user)."""
    out = []
    for i, (submit, run_s, cpus, est, user) in enumerate(jobs, 1):
        out.append(f'{i} {submit} -1 {run_s} {cpus} -1 -1 {cpus} {est} -1 1 {user} -1 -1 0 -1 -1 -1\n')
    return ''.join(out)


# ---- numbers that several independent simulators agree on ----

PUBLISHED = [
    # trace, arguments, mean wait, mean bounded slowdown, makespan, utilisation
    ('KTH-SP2', ['--policy', 'fcfs'], '353776.4091', '6814.973310', 29379608, '0.685240'),
    ('KTH-SP2', ['--policy', 'sjf'], '13333.2285', '135.295906', 29363626, '0.685613'),
    ('KTH-SP2', ['--policy', 'easy'], '6834.5873', '92.687654', 29363626, '0.685613'),
    ('KTH-SP2', ['--policy', 'easy', '--events', 'seq'], '6836.8721', '92.576540', 29363626, '0.685613'),
    ('KTH-SP2', ['--policy', 'easy', '--events', 'seq', '--info', 'act'], '6327.6816', '71.722385', 29363626, '0.685613'),
    ('lublin_256', ['--policy', 'fcfs'], '2388443.7601', '66502.475529', 12482549, '0.654908'),
    ('lublin_256', ['--policy', 'easy'], '97155.9945', '590.053777', 8730698, '0.936343'),
]


@pytest.mark.parametrize('name,args,wait,slowdown,makespan,busy', PUBLISHED)
def test_published_numbers_to_the_digit(name, args, wait, slowdown, makespan, busy):
    r, = results(trace(f'{name}.swf.gz'), *args)
    assert f'{r["wait_s"]["mean"]:.4f}' == wait
    assert f'{r["bounded_slowdown"]["mean"]:.6f}' == slowdown
    assert r['makespan_s'] == makespan
    assert f'{r["utilisation"]:.6f}' == busy
    assert r['dropped'] == 0


@pytest.mark.parametrize('policy,info,slowdown', [('easy-sjf', 'act', '49.8'), ('easy-sjf', 'tsafrir', '63.5')])
def test_shortest_first_backfilling_as_published(policy, info, slowdown):
    """EASY-SJBF and EASY++ of KTH-SP2 (Gaussier et al., SC'15)."""
    r, = results(trace('KTH-SP2.swf.gz'), '--policy', policy, '--info', info, '--events', 'seq')
    assert f'{r["bounded_slowdown"]["mean"]:.1f}' == slowdown


def test_the_machine_given_is_the_machine_of_the_header():
    path = trace('KTH-SP2.swf.gz')
    for machine in (['--nodes', '100', '--cpus', '1'], ['--nodes', '25', '--cpus', '4'], []):
        r, = results(path, *machine, '--policy', 'easy')
        assert f'{r["wait_s"]["mean"]:.4f}' == '6834.5873'


# ---- worked out by hand: 4 processors, tests/data/small.swf ----
# job        1  2  3  4  5
# submitted  0  1  2  3  4
# runs      10 10  5 30  4
# cpus       3  4  1  1  2
# estimate  20 10  5 30  4

BY_HAND = {
    'fcfs': [0, 10, 20, 20, 20],      # 2 waits for all of 1; behind it all wait
    'sjf': [0, 14, 2, 24, 10],        # 3 passes 2 at once; 5 goes first at 10, 2 when 5 is done
    'easy': [0, 10, 2, 20, 20],       # 3 is done before 20, when 2 is promised the machine; 4 is not
    'conservative': [0, 10, 2, 20, 20],
    'easy-sjf': [0, 10, 2, 20, 20],
    'list': [0, 37, 2, 7, 10],        # 4 takes what 3 leaves, and 2 waits for 4
}


@pytest.mark.parametrize('policy', BY_HAND)
def test_the_hand_made_trace(policy, tmp_path):
    starts = BY_HAND[policy]
    submitted, runs, cpus = [0, 1, 2, 3, 4], [10, 10, 5, 30, 4], [3, 4, 1, 1, 2]
    waits = [a - b for a, b in zip(starts, submitted)]
    r, = results(SMALL, '--policy', policy, '--jobs', tmp_path / 'out.swf')
    lines = [x.split() for x in (tmp_path / 'out.swf').read_text().splitlines() if not x.startswith(';')]
    assert [float(x[2]) for x in lines] == waits
    assert all(len(x) == 18 for x in lines)
    assert r['wait_s']['mean'] == sum(waits) / 5
    assert r['wait_s']['median'] == sorted(waits)[2]
    assert r['wait_s']['p95'] == r['wait_s']['max'] == max(waits)
    bounded = [max(1, (w + t) / max(t, 10)) for w, t in zip(waits, runs)]
    assert r['bounded_slowdown']['mean'] == pytest.approx(sum(bounded) / 5, rel=1e-15)
    assert r['slowdown']['max'] == max((w + t) / t for w, t in zip(waits, runs))
    end = max(s + t for s, t in zip(starts, runs))
    assert r['makespan_s'] == end
    assert r['utilisation'] == pytest.approx(sum(p * t for p, t in zip(cpus, runs)) / (4 * end), rel=1e-15)
    assert r['t_total_s'] == sum(runs) and r['t_wait_s'] == sum(waits)
    x = [(10 + 5) / (10 + 5 + waits[0] + waits[2]), (10 + 30) / (40 + waits[1] + waits[3]), 4 / (4 + waits[4])]
    assert r['fairness_jain'] == pytest.approx(sum(x) ** 2 / (3 * sum(v * v for v in x)), rel=1e-15)


def test_what_was_written_is_read_again(tmp_path):
    simulate(SMALL, '--policy', 'fcfs', '--jobs', tmp_path / 'out.swf')
    a, b = results(SMALL, '--policy', 'easy'), results(tmp_path / 'out.swf', '--policy', 'easy')
    for r in (a[0], b[0]):
        del r['elapsed_s'], r['read_s']
    assert a == b


# ---- textbooks: one processor, all in memory at once ----

def at_once(*runs):
    return [(0, r) for r in runs]


STALLINGS = [(0, 3), (2, 6), (4, 4), (6, 5), (8, 2)]
TEXTBOOK = [
    # jobs (arrival, run), arguments, mean wait or None, mean turnaround or None
    ('Silberschatz FCFS', at_once(24, 3, 3), ['--policy', 'fcfs'], 17, 27),
    ('Silberschatz FCFS, the other way round', at_once(3, 3, 24), ['--policy', 'fcfs'], 3, 13),
    ('Silberschatz SJF', at_once(6, 8, 7, 3), ['--policy', 'sjf'], 7, 13),
    ('Silberschatz SRTF', [(0, 8), (1, 4), (2, 9), (3, 5)], ['--schedule', 'srtf'], 6.5, 13),
    ('Silberschatz RR q=4', at_once(24, 3, 3), ['--schedule', 'rr', '--quantum', '4s'], 17 / 3, 47 / 3),
    ('Stallings FCFS', STALLINGS, ['--policy', 'fcfs'], None, 8.6),
    ('Stallings RR q=1', STALLINGS, ['--schedule', 'rr', '--quantum', '1s'], None, 10.8),
    ('Stallings RR q=4', STALLINGS, ['--schedule', 'rr', '--quantum', '4s'], None, 10),
    ('Stallings SPN', STALLINGS, ['--policy', 'sjf'], None, 7.6),
    ('Stallings SRT', STALLINGS, ['--schedule', 'srtf'], None, 7.2),
    ('Tanenbaum SJF', at_once(8, 4, 4, 4), ['--policy', 'sjf'], None, 11),
    ('Tanenbaum FCFS', at_once(8, 4, 4, 4), ['--policy', 'fcfs'], None, 14),
    ('OSTEP FIFO', at_once(100, 10, 10), ['--policy', 'fcfs'], None, 110),
    ('OSTEP STCF', [(0, 100), (10, 10), (10, 10)], ['--schedule', 'srtf'], None, 50),
    ('OSTEP RR q=1', at_once(5, 5, 5), ['--schedule', 'rr', '--quantum', '1s'], None, 14),
    ('processor sharing', at_once(3, 3), ['--schedule', 'fair'], 3, 6),
    ('processor sharing, one leaves', at_once(2, 4), ['--schedule', 'fair'], 2, 5),
]


@pytest.mark.parametrize('jobs,args,wait,turnaround', [x[1:] for x in TEXTBOOK], ids=[x[0] for x in TEXTBOOK])
def test_textbook(jobs, args, wait, turnaround):
    r, = results('-', '--nodes', 1, *args, input=swf(*((a, t, 1, t, 1) for a, t in jobs)))
    if wait is not None:
        assert r['wait_s']['mean'] == pytest.approx(wait, abs=1e-8)
    if turnaround is not None:
        assert r['turnaround_s']['mean'] == pytest.approx(turnaround, abs=1e-8)


def test_what_time_slicing_does_not_go_with_is_refused():
    for args in (['--events', 'seq'], ['--turn', '1h']):
        p = simulate(SMALL, '--schedule', 'rr', *args, ok=False)
        assert p.returncode == 1 and 'time slicing' in p.err


# ---- queueing theory ----

sys.path.insert(0, str(ROOT / 'bench'))
import theory  # noqa: E402


def means(name, jobs, seeds):
    for what, got, mean, error, want in theory.means(need('hostel'), name, jobs, seeds):
        print(f'{name}, {theory.words(what)}: seeds {list(seeds)} x {jobs} jobs: {[round(x, 3) for x in got]} '
              f'mean {mean:.4f} ± {error:.4f}, theory {want}')
        yield mean, error, want


@pytest.mark.parametrize('name', theory.QUEUES)
def test_queueing_theory(name):
    """20 seeds of 20,000 jobs: the mean lies within 4 standard errors of what theory says, which at this length
    are 3 to 15 %, and 1 % more, since each begins empty; the slow form has the 2 %."""
    for mean, error, want in means(name, 20000, range(1, 21)):
        assert abs(mean - want) < 4 * error + 0.01 * want
        assert error < 0.04 * want


@pytest.mark.slow
@pytest.mark.parametrize('name', theory.QUEUES)
def test_queueing_theory_within_two_percent(name):
    for mean, _, want in means(name, 2000000, range(1, 21)):
        assert abs(mean / want - 1) < 0.02


# ---- semantics ----

def test_seq_hands_out_what_ends_at_the_same_instant_but_only_as_planned(tmp_path):
    """1 processor: 1 runs 0-10 as estimated; at 10 arrives 2. In both semantics it starts at 10. With an estimate of
    20 the end is a surprise; 2, which arrived first, still starts at 10, when the end has been told."""
    for est in (10, 20):
        path = tmp_path / 'a.swf'
        path.write_text(swf((0, 10, 1, est, 1), (10, 5, 1, 5, 1)))
        for events in ('batch', 'seq'):
            r, = results(path, '--nodes', 1, '--events', events)
            assert r['wait_s']['max'] == 0


def test_seq_decides_after_each_arrival(tmp_path):
    """Two arrive at once on a free processor: seq starts the first; batch sees both and sjf takes the shorter."""
    path = tmp_path / 'a.swf'
    path.write_text(swf((5, 10, 1, 10, 1), (5, 3, 1, 3, 1)))
    assert results(path, '--nodes', 1, '--policy', 'sjf')[0]['wait_s']['max'] == 3
    assert results(path, '--nodes', 1, '--policy', 'sjf', '--events', 'seq')[0]['wait_s']['max'] == 10


def test_tsafrir_predicts_by_the_last_two_of_the_user_and_raises(tmp_path):
    """2 processors. User 1's first two jobs ran 10 s and 30 s under estimates of 1000 s, so his third is expected to
    run 20 s. It really runs 100 s. Job 4 needs both processors and waits for it; job 5 (one processor, 50 s) may
    pass 4 only if it ends before 4 is expected to start.
      at 102, when 5 arrives, 3 (started 100) is expected to end at 120: 5 would end at 152, so it waits;
      at 120 the prediction runs out: +1 min, 180: now 5 ends at 170, before 180, and starts.
    Under estimates 4 is expected at 1100: 5 starts when it arrives."""
    path = tmp_path / 'a.swf'
    path.write_text(swf((0, 10, 1, 1000, 1), (1, 30, 1, 1000, 1), (100, 100, 1, 1000, 1), (101, 10, 2, 10, 2),
                        (102, 50, 1, 50, 3)))
    waits = {}
    for info in ('est', 'tsafrir'):
        for events in ('batch', 'seq'):
            simulate(path, '--nodes', 2, '--info', info, '--events', events, '--jobs', tmp_path / 'o.swf')
            lines = [x.split() for x in (tmp_path / 'o.swf').read_text().splitlines() if x[0] != ';']
            waits[info, events] = [float(x[2]) for x in lines]
    assert waits['est', 'batch'] == waits['est', 'seq'] == [0, 0, 0, 99, 0]
    assert waits['tsafrir', 'batch'] == [0, 0, 0, 99, 18]
    # seq makes no pass when a prediction runs out; the next event is the end of 3 at 200, and 4 goes first.
    assert waits['tsafrir', 'seq'] == [0, 0, 0, 99, 108]


def test_a_job_without_estimate_column_is_expected_to_run_as_long_as_it_did(tmp_path):
    path = tmp_path / 'a.swf'
    path.write_text(swf((0, 10, 1, -1, 1), (0, 20, 1, -1, 1), (0, 5, 1, -1, 1)))
    est, act = results(path, '--nodes', 1, '--policy', 'sjf'), results(path, '--nodes', 1, '--policy', 'sjf', '--info', 'act')
    assert est[0]['wait_s'] == act[0]['wait_s']


# ---- bad lines ----

BAD = '''; MaxProcs: 8
1 10 -1 5 1 -1 -1 1 5 -1 1 1 -1 -1 0 -1 -1 -1
2 20 -1 5 1
3 x -1 5 1 -1 -1 1 5 -1 1 1 -1 -1 0 -1 -1 -1
4 -7 -1 5 1 -1 -1 1 5 -1 1 1 -1 -1 0 -1 -1 -1
5 5 -1 5 1 -1 -1 1 5 -1 1 1 -1 -1 0 -1 -1 -1
6 30 -1 5 99 -1 -1 99 5 -1 1 1 -1 -1 0 -1 -1 -1
7 40 -1 0 1 -1 -1 1 5 -1 1 1 -1 -1 0 -1 -1 -1
8 50 -1 5 0 -1 -1 -1 5 -1 1 1 -1 -1 0 -1 -1 -1
9 60 -1 5 1 -1 -1 1 5 -1 1 1 -1 -1 0 -1 -1
'''


def test_bad_lines_are_counted_with_the_first_of_each_sort(tmp_path):
    (tmp_path / 'bad.swf').write_text(BAD)
    r, = results(tmp_path / 'bad.swf')
    assert r['left_out'] == {
        'short': {'count': 2, 'first_line': 3}, 'non_numeric': {'count': 1, 'first_line': 4},
        'negative': {'count': 1, 'first_line': 5}, 'out_of_order': {'count': 1, 'first_line': 6},
        'larger_than_machine': {'count': 1, 'first_line': 7}, 'no_run_time': {'count': 1, 'first_line': 8},
        'no_processors': {'count': 1, 'first_line': 9}}
    assert (r['jobs'], r['dropped']) == (3, 6)
    err = simulate(tmp_path / 'bad.swf').err
    assert '2 lines, first 3' in err and 'first 7: larger than the machine' in err


def test_strict_refuses_a_trace_with_bad_lines_and_takes_one_without(tmp_path):
    (tmp_path / 'bad.swf').write_text(BAD)
    p = simulate(tmp_path / 'bad.swf', '--strict', ok=False)
    assert p.returncode == 1 and 'line 3: fewer columns' in p.err
    assert simulate(SMALL, '--strict').returncode == 0


@pytest.mark.parametrize('text,says', [('', 'no job'), ('\n \n', 'no job'), ('; MaxProcs: 3\n', 'no job'),
                                       ('hello world\n', 'neither'), ('1 2 3\n', 'how large'),
                                       ('arrival,cpu\n1,2\n', 'how large')])
def test_what_is_no_trace_is_refused_in_one_line(text, says, tmp_path):
    (tmp_path / 't').write_text(text)
    p = simulate(tmp_path / 't', ok=False)
    assert p.returncode == 1 and says in p.err and len(p.err.splitlines()) == 1


def test_options_that_are_none_are_refused(tmp_path):
    for args in (['--policy', 'best'], ['--overcommit', 'memory=2'], ['--info', 'psychic'], ['--nodes', '0'],
                 ['--policy', 'fcfs,easy', '--jobs', tmp_path / 'x'], ['--cpus', '0']):
        p = simulate(SMALL, *args, ok=False)
        assert p.returncode in (1, 125) and len(p.err.splitlines()) == 1, p.err
    assert simulate(tmp_path / 'nothing', ok=False).returncode == 1
    assert simulate(ok=False).returncode == 1


# ---- forms of traces ----

def test_plain_gzip_zstd_and_stdin_are_the_same(tmp_path):
    text = SMALL.read_bytes()
    (tmp_path / 'a.gz').write_bytes(gzip.compress(text))
    want = results(SMALL)[0]['wait_s']
    assert results(tmp_path / 'a.gz')[0]['wait_s'] == want
    assert results('-', input=text.decode())[0]['wait_s'] == want
    if shutil.which('zstd'):
        subprocess.run(['zstd', '-q', str(SMALL), '-o', str(tmp_path / 'a.zst')], check=True)
        assert results(tmp_path / 'a.zst')[0]['wait_s'] == want


def test_csv_of_instances_lives_on_nodes(tmp_path):
    """Two nodes of 4 cpus and 8 GiB. Three of 3 cpus: two start, the third waits though 2 cpus are left in sum."""
    (tmp_path / 'i.csv').write_text('arrival,cpu,memory,duration,user\n0,3,1g,10,ann\n0,3,1g,20,bob\n1,2,1g,5,"c, d"\n'
                                    '2,1,9g,5,ann\n3,0.5,,5,ann\n')
    r, = results(tmp_path / 'i.csv', '--nodes', 2, '--cpus', 4, '--memory', '8g', '--policy', 'fcfs')
    assert r['jobs'] == 4 and r['left_out'] == {'larger_than_machine': {'count': 1, 'first_line': 5}}
    # 3 waits for 1's end at 10: 9 s; 4 stands behind it: 7 s
    assert r['wait_s']['mean'] == (9 + 7) / 4 and r['users'] == 3


def test_lists_as_alibaba_publishes_them(tmp_path):
    (tmp_path / 'pods.csv').write_text(
        'name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n'
        'p0,4000,1024,1,500,,LS,Succeeded,0,100,0.0\n'
        'p1,4000,1024,1,500,,LS,Succeeded,0,100,0.0\n'
        'p2,4000,1024,1,500,,LS,Succeeded,10,40,20.0\n'
        'p3,4000,1024,0,0,,LS,Running,10,,\n')
    (tmp_path / 'nodes.csv').write_text('sn,cpu_milli,memory_mib,gpu,model\nn0,64000,262144,1,P100\n')
    r, = results(tmp_path / 'pods.csv', '--nodes', tmp_path / 'nodes.csv', '--policy', 'fcfs')
    # Two share the gpu; the third (20 s of run) has to wait from 10 to 100.
    assert r['jobs'] == 3 and r['wait_s']['max'] == 90 and r['left_out'] == {'no_end': {'count': 1, 'first_line': 5}}


def test_an_event_log_is_replayed(tmp_path):
    (tmp_path / 'log').write_text('hostel-events 1 0\n0 T 2000 8589934592 0 0 0\n0 P fcfs/strict\n'
                                  '1000000000 A 1 1000 0 2000 - - - - 0\n0 D 1\n0 S 1\n'
                                  '1000000000 A 2 1000 0 1000 - - - - 3000000000\n8000000000 E 1 0\n0 D 2\n0 S 2\n'
                                  '3000000000 E 2 0\n1 A 3 1000 0 1000 - - - - 0\n')
    r, = results('--from-log', tmp_path / 'log')
    assert (r['policy'], r['jobs'], r['dropped']) == ('fcfs/strict', 2, 1)
    assert r['wait_s']['max'] == 8 and r['t_total_s'] == 9 + 3


# ---- synthetic loads ----

def test_loads_are_the_same_for_the_same_seed(tmp_path):
    a, b, c = (results('poisson:rate=0.8,jobs=5000', '--seed', s)[0]['wait_s'] for s in (1, 1, 2))
    assert a == b != c
    r, = results('lublin:procs=128,jobs=3000', '--policy', 'easy', '--jobs', tmp_path / 'l.swf')
    sizes = [int(x.split()[4]) for x in (tmp_path / 'l.swf').read_text().splitlines() if x[0] != ';']
    # The model: 24 % serial, most others powers of two, none larger than the machine
    assert 0.20 < sizes.count(1) / 3000 < 0.33 and max(sizes) <= 128
    assert sum(n & (n - 1) == 0 for n in sizes) / 3000 > 0.75
    assert simulate('lublin:procs=128,rate=1', ok=False).err.count('\n') == 0


# ---- what is written ----

def test_formats_say_the_same(tmp_path):
    args = [SMALL, '--policy', 'fcfs,sjf,easy']
    docs = results(*args)
    rows = list(csv.DictReader(io.StringIO(simulate(*args, '--format', 'csv').stdout)))
    table = simulate(*args).out.splitlines()
    assert [d['policy'] for d in docs] == [r['policy'] for r in rows] == [x.split()[0] for x in table[1:4]] == ['fcfs', 'sjf', 'easy']
    assert [d['rule'] for d in docs] == ['fcfs/strict', 'sjf/strict', 'fcfs/easy']
    for d, r in zip(docs, rows):
        assert float(r['wait_s_mean']) == d['wait_s']['mean'] and float(r['utilisation']) == d['utilisation']
    for d in docs:
        assert {'policy', 'info', 'events', 'jobs', 'dropped', 'wait_s', 'turnaround_s', 'slowdown', 'bounded_slowdown',
                'makespan_s', 'utilisation', 't_total_s', 't_wait_s', 'fairness_jain'} <= set(d)
    best = min(docs, key=lambda d: d['wait_s']['mean'])['policy']
    assert [x.split()[0] for x in table[1:4] if x.split()[2].endswith('*') or x.split()[1].endswith('*')] == [best]


@pytest.mark.parametrize('jobs', [50, 100000])
def test_charts_are_whole_and_stay_readable(jobs, tmp_path):
    simulate(f'poisson:rate=7,jobs={jobs},users=5', '--nodes', 8, '--policy', 'easy', '--gantt', tmp_path / 'g.svg',
             '--plot', tmp_path / 'p.svg')
    for name in ('g.svg', 'p.svg'):
        text = (tmp_path / name).read_text()
        root = ET.fromstring(text)
        assert root.tag.endswith('svg') and len(text) < 1_500_000
        assert 'href' not in text and '<script' not in text
        for e in root.iter():
            for k in ('x', 'y', 'width', 'height'):
                if k in e.attrib:
                    assert -1 <= float(e.attrib[k]) <= 1300 and math.isfinite(float(e.attrib[k]))
    titles = [e.text for e in ET.parse(tmp_path / 'g.svg').iter() if e.tag.endswith('title')]
    assert len(titles) == (50 if jobs == 50 else 0)


def test_rr_over_a_label_of_the_trace(tmp_path):
    csv = tmp_path / 'jobs.csv'
    csv.write_text('arrival,cpu,duration,user,team\n0,1,10,a,x\n0,1,10,b,x\n0,1,10,a,y\n0,1,10,b,y\n')
    swf = tmp_path / 'jobs.swf'
    row = lambda n, user, group: f'{n} 0 -1 10 1 -1 -1 1 10 -1 1 {user} {group} -1 -1 -1 -1 -1\n'
    swf.write_text('; MaxProcs: 1\n' + row(1, 1, 7) + row(2, 2, 7) + row(3, 1, 8) + row(4, 2, 8))
    def starts(path, policy):
        p = simulate(path, '--nodes', 1, '--cpus', 1, '--policy', policy, '--jobs', tmp_path / 'out.swf')
        return [int(l.split()[2]) for l in (tmp_path / 'out.swf').read_text().splitlines() if l[0] != ';']
    for path, label in ((csv, 'team'), (swf, 'group')):
        assert starts(path, 'rr') == [0, 10, 20, 30]
        assert starts(path, f'rr:{label}/strict') == [0, 20, 10, 30]
    for path, label, words in ((csv, 'shop', 'CSV without a column "shop"'), (swf, 'team', 'SWF has no label "team"'),
                               (csv, 'user,rr:team', 'the trace does not tell of the label "team"')):
        p = simulate(path, '--nodes', 1, '--cpus', 1, '--policy', f'rr:{label}', ok=False)
        assert p.returncode and words in p.err and '\n' not in p.err
