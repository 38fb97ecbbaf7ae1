# SPDX-License-Identifier: Apache-2.0
"""What this host cannot show, in a machine under emulation: limits with pure cgroup v2, VMs under KVM.

One boot per script of tests/rig; each of its functions t_NAME is a test here.
"""
import functools, os, pathlib, shutil

import pytest

import riglib
from conftest import BUILD

pytestmark = pytest.mark.slow
SCRIPTS = {'cgroup2.sh': 900, 'kvm.sh': 1500}  # seconds; two cores shared with others take a few times as long as alone


@pytest.fixture(scope='module')
def results(root_only, busybox_tar):
    deb = os.environ['HOSTEL_KERNEL_DEB']
    if not shutil.which('qemu-system-x86_64') or not os.path.exists(deb):
        pytest.skip('needs qemu-system-x86_64 and a kernel (tools/fetch.sh kernel)')
    return functools.cache(lambda script: riglib.boot(script, BUILD, deb, pathlib.Path(busybox_tar), SCRIPTS[script]))


@pytest.mark.parametrize('script,name', [(s, n) for s in SCRIPTS for n in riglib.tests_of(s)])
def test_rig(results, script, name):
    verdicts, text = results(script)
    assert name in verdicts, f'it did not come so far:\n{text[-3000:]}'
    assert not verdicts[name], verdicts[name] + '\n' + '\n'.join(l for l in text.splitlines() if l.startswith('log> '))
