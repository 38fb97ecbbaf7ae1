# SPDX-License-Identifier: Apache-2.0
"""hostel-shim by itself: the test plays the daemon (shimlib), the payload is a plain program on the host."""
import json, os, pathlib, re, resource, select, shutil, signal, socket, struct, subprocess, threading, time

import pytest

from shimlib import *

pytestmark = pytest.mark.skipif(not SHIM_EXEC.exists(), reason='shim_exec is not built')


@pytest.fixture
def shim(tmp_path):
    """shim(script or argv, *options) starts one; all are ended afterwards."""
    made = []

    def make(what, *options, **more):
        args = ['sh', '-c', what] if isinstance(what, str) else what
        s = Shim(tmp_path / str(len(made)), {'exec': {'args': args}}, options, **more)
        made.append(s)
        return s

    yield make
    for s in made:
        record = s.state / 'payload.pid'
        s.kill()
        if getattr(s, 'pid', None):
            try:
                os.killpg(s.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def run(s, streams=STDOUT | STDERR, **more):
    """Connect, attach, start."""
    hello = s.connect()
    assert hello.phase == IDLE and hello.shim_pid == s.proc.pid
    client = s.attach(streams, **more)
    s.pid = s.start().pid
    return client


def finish(s, code=0):
    """The rest of a run, and what must hold after every one."""
    m = s.wait(EXITED)
    assert m.code == code
    record = s.exit_record()
    assert record['version'] == 1 and record['code'] == code and record['finished_ns'] == m.finished_ns
    assert s.is_locked()
    s.bye()
    assert s.ended() == 0
    assert not s.is_locked()
    return m


# ---- a run ----

def test_output_is_framed_logged_and_the_exit_recorded(shim):
    s = shim('echo out; echo err >&2; exit 3')
    c = run(s)
    assert c.read_all() == {1: b'out\n', 2: b'err\n'}
    m = finish(s, 3)
    assert m.text == '' and not m.oom
    assert (s.run / 'started').read_bytes() == b''
    entries = s.log_entries()
    assert sorted((e['stream'], e['log']) for e in entries) == [('stderr', 'err\n'), ('stdout', 'out\n')]
    assert all(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z', e['time']) for e in entries)
    record = s.exit_record()
    assert 0 < record['started_ns'] <= record['finished_ns']


def test_a_signal_is_128_and_its_number(shim):
    s = shim('sleep 100')
    run(s)
    s.signal(signal.SIGTERM)
    finish(s, 128 + signal.SIGTERM)


def test_killed_payload_is_137_without_a_note(shim):
    s = shim('sleep 100')
    run(s)
    os.kill(s.pid, signal.SIGKILL)
    assert finish(s, 137).text == ''


def test_a_command_that_does_not_exist_fails_the_start(shim):
    s = shim(['/nonexistent'])
    s.connect()
    c = s.attach()
    s.request(START)
    m = s.wait(FAILED)
    assert KINDS[m.kind] == 'NOT_FOUND' and 'No such file' in m.text
    assert c.read_all() == {1: b'', 2: b''}
    s.bye()
    assert s.ended() == 0
    assert not (s.state / 'exit.json').exists() and not (s.run / 'started').exists()


def test_a_plan_that_cannot_be_read_fails_the_start(shim):
    s = shim('true')
    (s.state / 'plan.json').write_text('{')
    s.connect()
    s.request(START)
    assert s.wait(FAILED).text
    s.bye()
    assert s.ended() == 0


def test_requests_in_the_wrong_phase_are_refused(shim):
    s = shim('sleep 100')
    s.connect()
    for call in (lambda: s.signal(9), lambda: s.freeze(1), lambda: s.exec('x', {'args': ['true']})):
        with pytest.raises(ShimError) as e:
            call()
        assert e.value.args[0] == 'STATE'
    s.resize(10, 20)  # is kept for the start
    s.pid = s.start().pid
    with pytest.raises(ShimError) as e:
        s.request(START)
    assert e.value.args[0] == 'STATE'
    with pytest.raises(ShimError) as e:
        s.request(50)
    assert e.value.args[0] == 'UNSUPPORTED'
    with pytest.raises(ShimError) as e:
        s.request(ATTACH, s.attach_body(STDOUT))  # without a descriptor
    assert e.value.args[0] == 'INVALID'
    s.signal(9)
    finish(s, 137)


def test_malformed_messages_change_nothing(shim):
    s = shim('sleep 100')
    run(s)
    for junk in (b'x', b'\0' * 8, HEADER.pack(1, EXEC, 1), HEADER.pack(2, SIGNAL, 1) + b'\0' * 72,
                 HEADER.pack(1, SIGNAL, 1) + b'a' * 72, HEADER.pack(1, SIGNAL, 1) + b'\0' * 100,
                 HEADER.pack(1, ATTACH, 1) + struct.pack('=II32s', 7, 99, b''), HEADER.pack(1, EXITED, 0) + b'\0' * 16,
                 os.urandom(60000)):
        s.sock.send(junk)
    s.sock.send(HEADER.pack(1, 3000, 76))
    s.sock.send(HEADER.pack(1, 40, 77))
    assert KINDS[s.wait(REPLY, lambda m: m.seq == 77).kind] == 'UNSUPPORTED'
    s.signal(9)
    finish(s, 137)


def test_queries_are_answered(shim):
    s = shim('sleep 100')
    run(s)
    assert s.request(QUERY, b'guest-info') == 'guest-info'
    with pytest.raises(ShimError) as e:
        s.request(QUERY, b'fail')
    assert e.value.args == ('NOT_FOUND', 'no answer')
    s.signal(9)
    finish(s, 137)


def test_undo_calls_the_backend(shim, tmp_path):
    subprocess.run([str(SHIM_EXEC), '--undo', '--kind', 'exec', '--state-dir', str(tmp_path)], check=True)
    assert (tmp_path / 'undone').exists()
    assert subprocess.run([str(SHIM_EXEC), '--undo', '--kind', 'what', '--state-dir', str(tmp_path)],
                          capture_output=True).returncode == 1


# ---- input ----

def test_half_closed_input_ends_the_process_s(shim):
    s = shim('cat; echo end', '--stdin', '--stdin-once')
    c = run(s, STDIN | STDOUT)
    c.send(b'some ')
    c.send(b'input\n')
    c.end()
    assert c.read_all()[1] == b'some input\nend\n'
    finish(s)


def test_input_sent_before_the_start_and_early_bytes_arrive_in_order(shim):
    s = shim('cat', '--stdin', '--stdin-once')
    s.connect()
    c = s.attach(STDIN | STDOUT, early=b'one ')
    c.send(b'two ')
    c.end()
    time.sleep(0.1)
    s.start()
    assert c.read_all()[1] == b'one two '
    finish(s)


def test_a_megabyte_of_input_passes_unchanged(shim):
    s = shim('sleep 0.3; sha256sum', '--stdin', '--stdin-once')
    c = run(s, STDIN | STDOUT)
    data = os.urandom(3_000_000)

    def feed():
        c.send(data)
        c.end()

    t = threading.Thread(target=feed)
    t.start()
    import hashlib
    assert c.read_all()[1].decode().split()[0] == hashlib.sha256(data).hexdigest()
    t.join()
    finish(s)


def test_without_stdin_once_the_input_stays_open_for_the_next_client(shim):
    s = shim('while read x; do echo "got $x"; [ $x = last ] && exit 5; done; echo closed', '--stdin')
    c = run(s, STDIN | STDOUT)
    c.send(b'first\n')
    c.end()
    assert c.read_until(b'got first\n')
    c.close()
    s.wait(ATTACH_ENDED)
    c = s.attach(STDIN | STDOUT)
    c.send(b'last\n')
    assert c.read_until(b'got last\n')
    finish(s, 5)


def test_with_two_clients_input_ends_with_the_last_one(shim):
    s = shim('cat; echo end', '--stdin', '--stdin-once')
    c = run(s, STDIN | STDOUT)
    d = s.attach(STDIN | STDOUT)
    c.send(b'c\n')
    assert c.read_until(b'c\n') == d.read_until(b'c\n')
    c.end()
    d.send(b'd\n')
    assert c.read_until(b'd\n') == d.read_until(b'd\n')
    d.end()
    assert c.read_until(b'end\n') and d.read_until(b'end\n')
    finish(s)


def test_a_client_that_closes_after_sending_is_heard(shim):
    s = shim('sleep 0.2; cat > $0', '--stdin', '--stdin-once')
    s.connect()
    target = s.base / 'got'
    (s.state / 'plan.json').write_text(json.dumps({'exec': {'args': ['sh', '-c', 'sleep 0.2; cat > ' + str(target)]}}))
    c = s.attach(STDIN)
    s.start()
    c.send(b'x' * 150_000)
    c.close()
    finish(s)
    assert target.read_bytes() == b'x' * 150_000


def test_a_process_that_closed_its_input_does_not_hurt(shim):
    s = shim('exec <&-; sleep 0.3; echo done', '--stdin', '--stdin-once')
    c = run(s, STDIN | STDOUT)
    c.sock.settimeout(5)
    c.send(b'y' * 200_000)
    c.end()
    assert c.read_all()[1] == b'done\n'
    finish(s)


# ---- terminals, detach keys ----

def test_a_terminal_is_raw_sized_and_follows_resizes(shim):
    s = shim('stty size; read x; stty size', '--tty', '--stdin')
    s.connect()
    s.resize(33, 77)
    c = s.attach(STDIN | STDOUT | RAW)
    s.start()
    assert c.read_until(b'33 77\r\n')
    s.resize(44, 99)
    c.send(b'\r')
    assert c.read_until(b'44 99\r\n')
    finish(s)
    assert s.log_entries()[0]['log'] == '33 77\r\n'


def test_detach_keys_let_the_client_go_and_nothing_else(shim):
    s = shim('cat', '--tty', '--stdin')
    c = run(s, STDIN | STDOUT | RAW, keys=b'\x10\x11')
    c.send(b'abc\r')
    assert c.read_until(b'abc\r\nabc\r\n')
    c.send(b'\x10')
    time.sleep(0.05)
    c.send(b'\x11')
    assert s.wait(DETACHED).code == c.seq
    assert c.read_all() == b''
    assert s.proc.poll() is None
    c = s.attach(STDIN | STDOUT | RAW, keys=b'\x10\x11')
    c.send(b'still\r')
    assert c.read_until(b'still\r\nstill\r\n')
    c.send(b'\x04')
    finish(s)


def test_without_a_terminal_detach_keys_are_data(shim):
    s = shim('cat', '--stdin', '--stdin-once')
    c = run(s, STDIN | STDOUT, keys=b'\x10\x11')
    c.send(b'a\x10\x11b')
    c.end()
    assert c.read_all()[1] == b'a\x10\x11b'
    finish(s)


# ---- several clients, slow clients ----

def test_one_of_fifty_clients_never_reads(shim):
    s = shim('head -c 40000000 /dev/zero | tr "\\0" x; sleep 0.2', '--stdin')
    s.connect()
    clients = [s.attach(STDOUT | RAW) for _ in range(50)]
    lazy = clients[20]
    counts = [0] * 50
    s.start()

    def drain():
        poll = select.poll()
        for i, c in enumerate(clients):
            c.sock.setblocking(False)
            if c is not lazy:
                poll.register(c.sock, select.POLLIN)
        by_fd = {c.sock.fileno(): i for i, c in enumerate(clients)}
        left = 49
        while left:
            for fd, _ in poll.poll(20000):
                data = clients[by_fd[fd]].sock.recv(1 << 20)
                counts[by_fd[fd]] += len(data)
                if not data:
                    poll.unregister(fd)
                    left -= 1

    begin = time.monotonic()
    drain()
    took = time.monotonic() - begin
    assert [n for i, n in enumerate(counts) if i != 20] == [40000000] * 49
    assert 9 < took < 200  # held up once, for ten seconds
    assert s.wait(ATTACH_ENDED).code == lazy.seq
    finish(s)


def test_a_single_slow_client_holds_the_output_like_a_pipe(shim):
    s = shim(f'i=0; while [ $i -lt 400 ]; do head -c 16384 /dev/zero; i=$((i+1)); echo $i > $0; done', '--log', 'none')
    progress = s.base / 'progress'
    s.base.joinpath('state/plan.json').write_text(json.dumps({'exec': {'args': [
        'sh', '-c', f'i=0; while [ $i -lt 400 ]; do head -c 16384 /dev/zero; i=$((i+1)); echo $i > {progress}; done']}}))
    c = run(s, STDOUT | RAW)
    at = [-1]

    def stands_still():
        time.sleep(1)
        at.append(int(progress.read_text() or 0) if progress.exists() else -1)
        return at[-1] == at[-2] > 0

    eventually(stands_still)
    assert at[-1] < 120  # 1 MiB here, some in the sockets and the pipe
    assert len(c.read_all()) == 400 * 16384
    finish(s)


def test_a_detached_instance_is_never_held_back(shim):
    s = shim('head -c 20000000 /dev/zero; echo done', '--detached', '--log', 'none')
    c = run(s, STDOUT | RAW)
    finish(s)
    assert s.events[0].type == ATTACH_ENDED
    c.close()


def test_what_the_last_client_has_not_read_yet_outlives_the_shim(shim):
    s = shim('head -c 900000 /dev/zero | tr "\\0" z')
    c = run(s)
    finish(s)
    assert c.read_all()[1] == b'z' * 900000


def test_a_client_that_goes_is_told(shim):
    s = shim('sleep 100')
    c = run(s)
    c.close()
    assert s.wait(ATTACH_ENDED).code == c.seq
    s.signal(9)
    finish(s, 137)


# ---- log ----

def test_the_log_is_rotated(shim):
    s = shim('i=0; while [ $i -lt 300 ]; do echo "line $i"; i=$((i+1)); done', '--log-max-size', '4000', '--log-max-file', '2')
    run(s)
    finish(s)
    names = sorted(p.name for p in (s.state / 'log').iterdir())
    assert names == ['json.log', 'json.log.1']
    assert all(p.stat().st_size <= 4000 for p in (s.state / 'log').iterdir())
    texts = [e['log'] for e in s.log_entries()]
    assert texts[-1] == 'line 299\n' and texts == [f'line {i}\n' for i in range(300 - len(texts), 300)]
    assert s.logs('--raw', '--tail', '3') == b'line 297\nline 298\nline 299\n'


def test_no_log_when_none_is_asked_for(shim):
    s = shim('echo x', '--log', 'none')
    assert run(s).read_all()[1] == b'x\n'
    finish(s)
    assert not (s.state / 'log').exists()


def test_attach_with_logs_repeats_all_of_it_exactly_once(shim):
    s = shim('i=0; while [ $i -lt 3000 ]; do echo "n $i"; i=$((i+1)); done; printf "prompt> "; read x; echo "got $x"', '--stdin')
    c = run(s, STDOUT)
    c.read_until(b'prompt> ')
    late = s.attach(STDIN | STDOUT | LOGS)
    want = b''.join(b'n %d\n' % i for i in range(3000)) + b'prompt> '
    assert late.read_until(b'prompt> ') == want
    only = s.attach(STDOUT | LOGS | NO_STREAM)
    assert only.read_all()[1] == want
    late.send(b'it\n')
    assert late.read_until(b'got it\n')
    finish(s)


def test_attach_with_logs_while_it_writes_misses_and_doubles_nothing(shim):
    s = shim(['sh', '-c', 'seq 1 200000'])
    s.connect()
    s.start()
    clients = [s.attach(STDOUT | LOGS | RAW) for _ in range(5)]
    want = b''.join(b'%d\n' % i for i in range(1, 200001))
    got = [None] * 5
    threads = [threading.Thread(target=lambda i=i: got.__setitem__(i, clients[i].read_all())) for i in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [want] * 5
    finish(s)


def test_logs_of_many_lines_are_whole(shim):
    s = shim(['seq', '1', '100000'])
    s.connect()
    s.start()
    finish(s)
    out = s.logs()
    frames = deframe(out)
    assert len(frames) == 100000 and frames[-1] == (1, b'100000\n')
    assert s.logs('--raw', '--tail', '2') == b'99999\n100000\n'


def test_the_log_of_what_is_gone_is_no_folder_made_anew(shim):
    s = shim('true')
    s.connect()
    s.start()
    finish(s)
    s.ended()
    shutil.rmtree(s.state)
    s.state.mkdir()
    r, w = os.pipe()
    p = subprocess.Popen([str(SHIM), '--logs', '--ready', '--follow', '--state-dir', str(s.state)],
                         stdout=subprocess.PIPE, preexec_fn=lambda: os.dup2(w, 3), pass_fds=[3])
    os.close(w)
    assert os.read(r, 1) == b'' and p.poll() is None  # it is open, and follows what may yet run
    shutil.rmtree(s.state)
    assert p.wait(20) == 0 and not s.state.exists()
    p = subprocess.run([str(SHIM), '--logs', '--follow', '--state-dir', str(s.state)], timeout=20)
    assert p.returncode == 1 and not s.state.exists()


def test_logs_follow_ends_with_the_run(shim):
    s = shim('echo one; read x; echo two; echo three >&2', '--stdin')
    c = run(s, STDIN | STDOUT)
    p = subprocess.Popen([str(SHIM), '--logs', '--state-dir', str(s.state), '--follow', '--stdout', '--timestamps'],
                         stdout=subprocess.PIPE)
    head = p.stdout.read(8)
    assert head[0] == 1
    first = p.stdout.read(struct.unpack('>I', head[4:])[0])
    assert re.fullmatch(rb'\d{4}-\d\d-\d\dT[\d:.]{18}Z one\n', first)
    assert p.poll() is None
    c.send(b'\n')
    rest = p.stdout.read()
    assert p.wait(20) == 0
    assert [text.split(b' ', 1)[1] for _, text in deframe(rest)] == [b'two\n']
    finish(s)
    assert deframe(s.logs('--follow', '--stderr')) == [(2, b'three\n')]


def test_logs_follow_sees_every_line_through_rotations(shim):
    s = shim('i=0; while [ $i -lt 2000 ]; do echo "$i"; i=$((i+1)); done; sleep 0.1', '--log-max-size', '20000', '--log-max-file', '9')
    s.connect()
    p = subprocess.Popen([str(SHIM), '--logs', '--state-dir', str(s.state), '--follow', '--raw'], stdout=subprocess.PIPE)
    s.start()
    out = p.stdout.read()
    assert out == b''.join(b'%d\n' % i for i in range(2000))
    assert p.wait(5) == 0
    finish(s)


def test_logs_follow_ends_when_nobody_reads(shim):
    s = shim('sleep 100')
    run(s)
    p = subprocess.Popen([str(SHIM), '--logs', '--state-dir', str(s.state), '--follow'], stdout=subprocess.PIPE)
    time.sleep(0.2)
    assert p.poll() is None
    p.stdout.close()
    assert p.wait(5) == 0
    s.signal(9)
    finish(s, 137)


def test_a_full_disk_costs_log_lines_and_nothing_else(tmp_path):
    """In a mount namespace of its own, with the log on a tmpfs of 64 KiB."""
    state = tmp_path / 'x/state'
    (state / 'log').mkdir(parents=True)
    s = Shim(tmp_path / 'x', {'exec': {'args': ['sh', '-c', 'head -c 300000 /dev/zero | tr "\\0" "\\n"; echo done']}},
             wrap=['unshare', '-m', 'sh', '-c', f'mount -t tmpfs -o size=64k none {state}/log && exec "$@"', 'sh'])
    try:
        eventually(lambda: (state / 'shim.log').exists())
        c = run(s, STDOUT | RAW)
        out = c.read_all()
        assert out == b'\n' * 300000 + b'done\n'
        finish(s)
        said = (state / 'shim.log').read_text()
        assert said.count('No space left') == 1
    finally:
        s.kill()


# ---- the daemon goes and comes ----

def test_the_instance_outlives_its_daemon_and_the_state_is_told(shim):
    s = shim('read x; echo "got $x"; exit 4', '--stdin')
    c = run(s, STDIN | STDOUT)
    s.freeze(1)
    s.disconnect()
    time.sleep(0.1)
    hello = s.connect()
    assert (hello.phase, hello.payload_pid, hello.is_frozen) == (RUNNING, s.pid, 1)
    assert hello.started_ns > 0
    s.freeze(0)
    c.send(b'it\n')
    assert c.read_all()[1] == b'got it\n'
    finish(s, 4)


def test_what_was_checkpointed_stands_still_until_it_is_resumed(shim, tmp_path):
    s = shim('while read x; do echo "got $x"; done; exit 4', '--stdin')
    c = run(s, STDIN | STDOUT)
    with pytest.raises(ShimError) as e:
        s.resume()
    assert e.value.args[0] == 'STATE'
    assert json.loads(s.checkpoint(tmp_path)) == {'bytes': 5} and (tmp_path / 'state').read_text() == 'state'
    stopped = lambda: open(f'/proc/{s.pid}/stat').read().rsplit(')', 1)[1].split()[0] == 'T'
    eventually(stopped)
    with pytest.raises(ShimError) as e:
        s.checkpoint(tmp_path)
    assert e.value.args[0] == 'STATE' and stopped()
    s.resume()
    c.send(b'it\n')
    assert c.read_until(b'got it\n')
    with pytest.raises(ShimError) as e: # what cannot be written is said, and it runs on
        s.checkpoint(tmp_path)
    assert e.value.args == ('UNSUPPORTED', 'the device /dev/x is open') and not stopped()
    (tmp_path / 'state').unlink()
    s.checkpoint(tmp_path)
    s.disconnect() # nobody is there to resume it
    eventually(lambda: not stopped())
    s.connect()
    (tmp_path / 'state').unlink()
    s.checkpoint(tmp_path)
    s.signal(9)
    finish(s, 137)


def test_a_start_with_a_checkpoint_gives_it_to_the_backend(shim, tmp_path):
    s = shim('echo "from $RESTORED"', '--restore', str(tmp_path))
    c = run(s)
    assert c.read_all()[1] == f'from {tmp_path}\n'.encode()
    finish(s)


def test_without_a_daemon_the_exit_is_on_disk_and_the_shim_ends(shim):
    s = shim('read x; exit 6', '--stdin')
    c = run(s, STDIN | STDOUT)
    s.disconnect()
    c.send(b'\n')
    assert s.ended() == 0
    assert s.exit_record()['code'] == 6
    assert not s.is_locked()


def test_the_newest_daemon_wins(shim):
    s = shim('sleep 100')
    s.connect()
    s.pid = s.start().pid
    old = s.sock
    s.connect()
    assert old.recv(100) == b''
    s.signal(9)
    finish(s, 137)


def test_exec_exits_are_kept_until_told(shim):
    s = shim('sleep 100')
    run(s)
    s.exec('e1', {'args': ['sh', '-c', 'sleep 0.3; exit 9']}, client=False)
    s.wait(EXEC_STARTED)
    s.disconnect()
    time.sleep(0.6)
    s.connect()
    m = s.wait(EXEC_EXITED)
    assert (m.exec_id, m.code) == ('e1', 9)
    s.signal(9)
    finish(s, 137)


def test_a_daemon_that_dies_before_the_start_may_come_back_and_do_it(shim):
    s = shim('echo hi')
    s.connect()
    c = s.attach()
    s.disconnect()
    time.sleep(0.1)
    assert s.connect().phase == IDLE
    s.start()
    assert c.read_all()[1] == b'hi\n'
    finish(s)


def test_before_the_start_bye_is_the_end(shim):
    s = shim('true')
    s.connect()
    s.bye()
    assert s.ended() == 0
    assert not (s.state / 'exit.json').exists()


def test_a_failure_without_a_daemon_is_on_disk(shim):
    s = shim(['/nonexistent'])
    s.connect()
    s.send(START)
    s.disconnect()
    assert s.ended() == 0
    record = json.loads((s.state / 'failed.json').read_text())
    assert record['version'] == 1 and KINDS[record['kind']] == 'NOT_FOUND' and 'No such file' in record['text']
    assert not (s.state / 'exit.json').exists()


def test_without_bye_the_shim_ends_after_two_seconds(shim):
    s = shim('true')
    run(s)
    s.wait(EXITED)
    begin = time.monotonic()
    assert s.ended() == 0
    assert 1.5 < time.monotonic() - begin < 25


def test_signals_to_the_shim_do_not_end_it_and_are_not_inherited(shim):
    s = shim(['sh', '-c', 'grep Sig /proc/self/status; read x', ], '--stdin')
    c = run(s, STDIN | STDOUT)
    for sig in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
        os.kill(s.proc.pid, sig)
    c.send(b'\n')
    status = c.read_all()[1].decode()
    assert int(re.search(r'SigBlk:\s*(\w+)', status)[1], 16) == 0
    finish(s)


# ---- output that does not end as expected ----

def test_a_process_that_closes_its_output_goes_on(shim):
    s = shim('echo x; exec >&- 2>&-; sleep 0.3; exit 2')
    c = run(s)
    assert c.read_all()[1] == b'x\n'
    finish(s, 2)


def test_orphans_that_hold_the_output_do_not_delay_the_exit(shim):
    s = shim('sleep 30 & echo x')
    c = run(s)
    begin = time.monotonic()
    assert c.read_all()[1] == b'x\n'
    finish(s)
    assert time.monotonic() - begin < 20


def test_orphans_that_write_forever_do_not_delay_the_exit(shim):
    s = shim('yes & sleep 0.2', '--log', 'none')
    c = run(s, STDOUT | RAW)
    got = []
    t = threading.Thread(target=lambda: got.append(c.read_all()))
    t.start()
    finish(s)
    t.join()
    assert got[0].startswith(b'y\ny\n')


def test_orphans_are_reaped_and_nothing_else_is(shim):
    s = shim('for i in 1 2 3; do (sleep 0.1 & ); done; sleep 100')
    run(s)

    def children():
        out = subprocess.run(['ps', '--ppid', str(s.proc.pid), '-o', 'stat=,comm='], capture_output=True, text=True).stdout
        return [line.split()[0][0] for line in out.splitlines()]

    eventually(lambda: children().count('Z') > 0)
    eventually(lambda: children() == ['S'])
    s.exec('e1', {'args': ['sh', '-c', 'exit 9']}, client=False)
    assert s.wait(EXEC_EXITED).code == 9
    s.signal(9)
    finish(s, 137)


# ---- exec ----

def test_an_exec_has_its_own_streams_and_exit(shim):
    s = shim('sleep 100')
    main = run(s)
    c = s.exec('e1', {'args': ['sh', '-c', 'cat; echo oops >&2; exit 7']}, STDIN | STDOUT | STDERR)
    assert s.wait(EXEC_STARTED).exec_id == 'e1'
    c.send(b'input')
    c.end()
    assert c.read_all() == {1: b'input', 2: b'oops\n'}
    m = s.wait(EXEC_EXITED)
    assert (m.exec_id, m.code) == ('e1', 7)
    assert s.log_entries() == []
    s.signal(9)
    assert main.read_all() == {1: b'', 2: b''}
    finish(s, 137)


def test_an_exec_with_a_terminal_is_resized_and_detached_from(shim):
    s = shim('sleep 100')
    run(s)
    c = s.exec('e1', {'args': ['sh', '-c', 'stty size; cat']}, STDIN | STDOUT | RAW | TTY, keys=b'\x1d', size=(11, 22))
    s.wait(EXEC_STARTED)
    assert c.read_until(b'\r\n')  # some size: it was told after the start
    s.resize(12, 34, 'e1')
    c.send(b'q\x1d')
    m = s.wait(DETACHED)
    assert (m.exec_id, m.code) == ('e1', c.seq)
    s.signal(9, 'e1')
    assert s.wait(EXEC_EXITED).code == 137
    s.signal(9)
    finish(s, 137)


def test_a_failed_exec_is_told(shim):
    s = shim('sleep 100')
    run(s)
    c = s.exec('e1', {'args': ['/nonexistent']})
    m = s.wait(EXEC_FAILED)
    assert m.exec_id == 'e1' and KINDS[m.code] == 'NOT_FOUND' and 'No such file' in m.text
    assert c.read_all()[1].decode().strip() == m.text  # as docker exec shows it
    s.exec('e1', {'args': ['true']}, client=False)  # the name is free again
    s.wait(EXEC_EXITED)
    s.signal(9)
    finish(s, 137)


def test_an_exec_without_a_client_never_blocks(shim):
    s = shim('sleep 100')
    run(s)
    s.exec('e1', {'args': ['sh', '-c', 'head -c 5000000 /dev/zero; exit 1']}, client=False)
    assert s.wait(EXEC_EXITED).code == 1
    s.signal(9)
    finish(s, 137)


def test_an_exec_s_name_is_taken_while_it_runs(shim):
    s = shim('sleep 100')
    run(s)
    s.exec('e1', {'args': ['sleep', '100']}, client=False)
    with pytest.raises(ShimError) as e:
        s.exec('e1', {'args': ['true']})
    assert e.value.args[0] == 'EXISTS'
    s.signal(9, 'e1')
    assert s.wait(EXEC_EXITED).code == 137
    s.signal(9)
    finish(s, 137)


def test_the_end_of_the_payload_ends_the_streams_of_its_execs(shim):
    s = shim('sleep 100')
    run(s)
    c = s.exec('e1', {'args': ['sleep', '3']})
    s.wait(EXEC_STARTED)
    s.signal(9)
    assert c.read_all() == {1: b'', 2: b''}
    finish(s, 137)


# ---- a daemon that does not behave ----

def test_a_daemon_that_does_not_read_is_given_up_not_waited_for(shim):
    s = shim('read x', '--stdin')
    c = run(s, STDIN | STDOUT)
    blocked = s.sock
    blocked.setblocking(False)
    sent = 0
    try:
        while sent < 50000:
            blocked.send(HEADER.pack(1, QUERY, sent + 100) + b'x' * 2000)
            sent += 1
            if sent % 50 == 0:
                time.sleep(0.001)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    s.connect()
    c.send(b'\n')
    finish(s)


def test_the_shim_leaks_no_descriptors(shim):
    s = shim('sleep 100')
    main = run(s)
    count = lambda: len(os.listdir(f'/proc/{s.proc.pid}/fd'))
    before = count()
    for i in range(20):
        c = s.exec(f'e{i}', {'args': ['echo', 'x']}, STDIN | STDOUT)
        assert c.read_all()[1] == b'x\n'
        s.wait(EXEC_EXITED)
        c.close()
        c = s.attach(STDIN | STDOUT | LOGS)
        c.close()
        s.wait(ATTACH_ENDED)
    eventually(lambda: count() == before)
    s.signal(9)
    finish(s, 137)
