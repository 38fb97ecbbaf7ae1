#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All tests, one closing line "N passed, N failed, N skipped".

check.py BUILD [--slow] [-k EXPR]

  unit         every cmocka program of BUILD
  unit-asan    the same under AddressSanitizer and UBSan (BUILD-asan)
  style        layers, clang-format
  integration  pytest in tests/, as root, with the programs of BUILD
"""
import argparse, os, pathlib, re, subprocess, sys, time
import xml.etree.ElementTree as ET

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped, self.bad = 0, 0, 0, []

    def add(self, passed=0, failed=0, skipped=0, what=None):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        if failed:
            self.bad.append(what)


def unit(tally, build, label, env=None):
    tests = sorted(p for p in [*build.glob('*_test'), *build.glob('tests/fuzz/*_test')] if p.is_file())
    if not tests:
        tally.add(failed=1, what=f'{label}: no test program in {build}')
    for exe in tests:
        started = time.monotonic()
        try:
            run = subprocess.run([str(exe.resolve())], cwd=ROOT, capture_output=True, text=True, errors='replace',
                                 timeout=300, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
            text, code = run.stdout + run.stderr, run.returncode
        except subprocess.TimeoutExpired as e:
            text, code = str(e), 1
        passed = sum(map(int, re.findall(r'\[  PASSED  \] (\d+) test', text)))
        failed = sum(map(int, re.findall(r'\[  FAILED  \] (?:tests?: )?(\d+) test', text)))
        skipped = sum(map(int, re.findall(r'\[  SKIPPED \] (?:tests?: )?(\d+) test', text)))
        if code and not failed:
            failed = 1
        tally.add(passed, failed, skipped, f'{label}: {exe.name}')
        if failed:
            print(f'--- {label}: {exe.name} failed ({time.monotonic() - started:.1f} s)\n{text[-6000:]}')
        if skipped:
            for line in re.findall(r'skip: (.*)', text):
                print(f'skipped: {exe.name}: {line}')
    print(f'{label}: {len(tests)} programs')


def asan(tally, build):
    where = build.with_name(build.name + '-asan')
    if not (where / 'build.ninja').exists():
        run = subprocess.run(['meson', 'setup', str(where), '-Db_sanitize=address,undefined', '-Db_lundef=false', '-Dwerror=false',
                              '-Doptimization=1'], cwd=ROOT, capture_output=True, text=True)
        if run.returncode:
            print(run.stdout[-3000:])
            return tally.add(failed=1, what='asan: configure')
    run = subprocess.run(['ninja', '--quiet', '-C', str(where), 'unit-tests'], cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        print(run.stdout[-6000:])
        return tally.add(failed=1, what='asan: build')
    unit(tally, where, 'unit-asan', {'ASAN_OPTIONS': 'abort_on_error=0:detect_leaks=1:allocator_may_return_null=1',
                                     'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1'})


def style(tally):
    for name, command in (('layers', [sys.executable, 'tools/check_layers.py', '.']),
                          ('clang-format', [sys.executable, 'tools/tidy.py', '--format-only'])):
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if run.returncode:
            print(f'--- {name}\n{run.stdout}{run.stderr}')
        tally.add(passed=not run.returncode, failed=bool(run.returncode), what=name)


def integration(tally, build, slow, expr):
    if not list((ROOT / 'tests').glob('test_*.py')):
        return
    report = build / 'pytest.xml'
    report.unlink(missing_ok=True)
    command = [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', '-q', '-rs', '--tb=short', '--maxfail=50',
               f'--timeout={3600 if slow else 420}', '--timeout-method=signal',  # a test that hangs fails, and the others run
               f'--junitxml={report}', 'tests']
    if expr:
        command += ['-k', expr]
    command += ['-m', 'slow' if slow else 'not slow']
    env = {**os.environ, 'HOSTEL_BUILD': str(build.resolve()), 'PYTHONDONTWRITEBYTECODE': '1',
           'HOSTEL_SHARED': os.environ.get('HOSTEL_SHARED', str(ROOT.parent / 'shared'))}
    code = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
    if not report.exists():
        return tally.add(failed=1, what=f'pytest ended with {code} and wrote no report')
    suite = ET.parse(report).getroot().find('testsuite')
    n = {k: int(suite.get(k, 0)) for k in ('tests', 'failures', 'errors', 'skipped')}
    bad = n['failures'] + n['errors']
    if code not in (0, 1, 5):
        bad = bad or 1
    tally.add(n['tests'] - n['failures'] - n['errors'] - n['skipped'], bad, n['skipped'], 'integration')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build', type=pathlib.Path)
    parser.add_argument('--slow', action='store_true')
    parser.add_argument('-k', dest='expr')
    parser.add_argument('--only', choices=['unit', 'asan', 'style', 'integration'])
    args = parser.parse_args()
    tally = Tally()
    steps = {'unit': lambda: unit(tally, args.build, 'unit'), 'asan': lambda: asan(tally, args.build),
             'style': lambda: style(tally),
             'integration': lambda: integration(tally, args.build, args.slow, args.expr)}
    for name, step in steps.items():
        if (args.only in (None, name)) and not (args.slow and name != 'integration'):
            step()
    for what in tally.bad:
        print(f'failed: {what}')
    print(f'{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped', flush=True)
    return 1 if tally.failed or not tally.passed else 0


if __name__ == '__main__':
    sys.exit(main())
