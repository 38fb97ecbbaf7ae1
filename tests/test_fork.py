# SPDX-License-Identifier: Apache-2.0
"""A service that runs is forked twenty times: each copy answers, as itself, and the memory is shared."""
import os, pathlib, re, urllib.request

import pytest

from conftest import lent, waiter

wait_for = waiter(240)
COPIES = 20
SERVICE = """mkdir -p /www/cgi-bin
printf '#!/bin/sh\\necho Content-type: text/plain; echo; echo $(hostname) $(cat /started)\\n' > /www/cgi-bin/who
chmod +x /www/cgi-bin/who; cat /proc/sys/kernel/random/uuid > /started; exec httpd -f -h /www"""


def address(d, name):
    return d.api('GET', f'/containers/{name}/json').json['NetworkSettings']['IPAddress']


def who(d, name):
    """What it says over the network: (its name, the number it drew when it started)."""
    def ask():
        try:
            with urllib.request.urlopen(f'http://{address(d, name)}/cgi-bin/who', timeout=60) as answer:
                return answer.read().decode().split()
        except OSError:
            return None
    return wait_for(ask)


def pss(d, name):
    """MiB of its QEMU."""
    pid = d.api('GET', f'/containers/{name}/json').json['State']['Pid']
    return int(re.search(r'^Pss:\s+(\d+)', pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text(), re.M)[1]) / 1024


@pytest.fixture
def d(root_only, busybox_tar):
    with lent(busybox_tar, '--memory-total', '64g', '--cpus-total', '64') as d:
        d.ok('kernel', 'add', os.environ['HOSTEL_KERNEL_DEB'], timeout=300)
        yield d


@pytest.mark.slow
def test_a_vm_that_serves_is_forked_twenty_times(d):
    d.ok('run', '-d', '--name', 'web', '--vm', '-m', '192m', 'busybox', 'sh', '-c', SERVICE, timeout=240)
    original = who(d, 'web')
    names = d.ok('fork', 'web', '-n', COPIES, timeout=400).split()
    assert names == [f'web-{n + 1}' for n in range(COPIES)]
    said = {n: who(d, n) for n in ['web', *names]}
    assert said['web'] == original
    assert len({name for name, _ in said.values()}) == COPIES + 1    # each has a name of its own
    assert {started for _, started in said.values()} == {original[1]}  # and none of them booted
    assert len({address(d, n) for n in said}) == COPIES + 1
    memory = {n: pss(d, n) for n in said}
    copies = sorted(memory[n] for n in names)
    print(f'PSS in MiB: the original {memory["web"]:.0f}, its {COPIES} copies {copies[0]:.0f} to {copies[-1]:.0f}')
    assert copies[-1] < memory['web'] / 2
