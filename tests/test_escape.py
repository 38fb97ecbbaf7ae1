# SPDX-License-Identifier: Apache-2.0
"""What a container tries with the programs of ours that enter it (CVE-2019-5736: /proc/PID/exe leads to the host's file)."""
import hashlib, time

import pytest

# Take hold of the victim's program while it runs, wait for its end, write into what is held.
ATTACK = '''
n=0
until exec 9</proc/{pid}/exe; do n=$((n+1)); test $n -lt 200 || exit 7; sleep 0.05; done
sha256sum /proc/self/fd/9
kill -9 {pid}
while test -e /proc/{pid}; do sleep 0.05; done
chmod 0 /proc/self/fd/9 && echo CHANGED
true >/proc/self/fd/9 && echo WRITTEN
exit 0
'''


def hashes(d):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in d.libexec.iterdir()}


def modes(d):
    return {p.name: p.stat().st_mode for p in d.libexec.iterdir()}


@pytest.mark.parametrize('interpreter', [False, True], ids=['exec', 'interpreter'])
@pytest.mark.parametrize('privileged', [False, True], ids=['plain', 'sys_admin'])
def test_the_supervisors_file_cannot_be_written_from_a_container(own_libexec, interpreter, privileged):
    d = own_libexec()  # an attack that succeeds spoils only these
    before, before_modes = hashes(d), modes(d)
    caps = ['--cap-add', 'SYS_ADMIN', '--cap-add', 'SYS_PTRACE'] if privileged else []
    d.ok('run', '-d', '--name', 'box', *caps, 'busybox', 'sleep', '600')
    d.ok('exec', 'box', 'sh', '-c', 'printf "#!/proc/self/exe --state-dir\\n" >/evil; chmod 755 /evil; mkdir -p /s/log')
    # The log of nothing is followed for as long as there is no exit record: a victim that stays.
    p = d.popen('exec', 'box', '/evil' if interpreter else '/proc/self/exe', '--logs', '--state-dir', '/s', '--follow')
    try:
        pid = 0
        end = time.monotonic() + 30
        while not pid and time.monotonic() < end:
            for line in d.ok('exec', 'box', 'ps', '-o', 'pid,args').splitlines():
                if '--follow' in line and 'ps -o' not in line:
                    pid = int(line.split()[0])
        assert pid, p.communicate(timeout=10) if p.poll() is not None else 'no victim'
        got = d.hostel('exec', 'box', 'sh', '-c', ATTACK.format(pid=pid))
    finally:
        p.kill()
        p.communicate()
    # It had hold of it, and all that it could do was to read.
    assert got.returncode == 0 and got.out == before['hostel-shim'] + '  /proc/self/fd/9', (got.out, got.err)
    assert got.err.count('Read-only file system') == 2, got.err
    assert hashes(d) == before and modes(d) == before_modes
    assert d.ok('run', '--rm', 'busybox', 'echo', 'fine') == 'fine'
