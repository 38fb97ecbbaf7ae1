#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-format must have nothing to say; clang-tidy, one file per process, is advice."""
import pathlib, subprocess, sys
from concurrent.futures import ThreadPoolExecutor


def sources():
    out = subprocess.run(['git', 'ls-files', '*.c', '*.h'], capture_output=True, text=True, check=True).stdout
    return out.split()


def unformatted():
    run = subprocess.run(['clang-format', '--dry-run', *sources()], capture_output=True, text=True)
    return sorted({line.split(':')[0] for line in run.stderr.splitlines() if 'warning:' in line})


def main():
    bad = unformatted()
    if bad:
        print('clang-format would change: ' + ' '.join(bad))
    if len(sys.argv) > 1 and sys.argv[1] != '--format-only':
        files = [f for f in sources() if f.endswith('.c') and pathlib.Path(f).parts[0] in ('src', 'cmd')]
        # gcc's own warnings are no clang's
        tidy = lambda f: subprocess.run(['clang-tidy', '--quiet', '-p', sys.argv[1], '--extra-arg=-Wno-unknown-warning-option', f],
                                        capture_output=True, text=True)
        with ThreadPoolExecutor(2) as pool:
            for f, run in zip(files, pool.map(tidy, files)):
                if run.stdout.strip():
                    print(run.stdout.strip())
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
