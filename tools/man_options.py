#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the commands and options of `hostel __options` into docs/man/hostel.1.scd, between its two markers.

man_options.py HOSTEL [--check]     --check: exit 1 when the page says something else
"""
import pathlib, re, subprocess, sys

PAGE = pathlib.Path(__file__).resolve().parent.parent / 'docs/man/hostel.1.scd'
BEGIN, END = '; begin of what tools/man_options.py writes', '; end of what tools/man_options.py writes'


def escape(text):
    return re.sub(r'([\\*_<>#`])', r'\\\1', text).replace('~', '\\~')


def usage_text(usage):
    return re.sub(r'[A-Z]+(-[A-Z]+)?', lambda m: f'_{m[0]}_', escape(usage))


def section(hostel):
    out = []
    for line in subprocess.run([hostel, '__options'], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.startswith('\t'):
            _, letter, name, arg, text = line.split('\t')
            short = f'*-{letter}*, ' if letter != '-' else ''
            value = f' {escape(arg)}' if arg else ''
            out += [f'{short}*--{escape(name)}*{value}', f'\t{escape(text)}', '']
            continue
        name, usage, summary = line.split('\t')
        out += [f'## hostel {name} {usage}'.rstrip().replace('_', '\\_'), '', f'{escape(summary)}.', '']
    return '\n'.join(out)


def main(hostel, check):
    page = PAGE.read_text()
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    new = f'{before}{BEGIN}\n\n{section(hostel)}\n{END}{after}'
    if check:
        return int(new != page)
    PAGE.write_text(new)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], '--check' in sys.argv))
