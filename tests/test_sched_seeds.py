# SPDX-License-Identifier: Apache-2.0
"""The scheduler against its reference and its properties, in the long form."""
import os, subprocess

import pytest

from conftest import BUILD


@pytest.mark.slow
def test_policies_keep_their_definitions_over_ten_thousand_random_traces():
    env = dict(os.environ, HOSTEL_SEEDS='10000')
    done = subprocess.run([BUILD / 'sched_alloc_test'], env=env, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'seeds 1 to 10000' in done.stdout
