#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""man_page.py SCDOC < page.scd > page: scdoc, without the empty paragraphs that mandoc -Tlint complains of."""
import re, subprocess, sys

text = subprocess.run([sys.argv[1]], stdin=sys.stdin, capture_output=True, text=True, check=True).stdout
lines = re.sub(r'(?m)^\.P\n\.RE$', '.RE\n.P', text).splitlines()
kept = []
for i, line in enumerate(lines):
    if re.match(r'\.(P|PP)$', line):
        before = kept[-1] if kept else ''
        after = next((l for l in lines[i + 1:] if not re.match(r'\.(P|PP)$', l)), '.SH')
        if re.match(r'\.(TH|SH|SS|P|PP)\b', before) or re.match(r'\.(SH|SS)\b', after):
            continue
    kept.append(line)
print('\n'.join(kept))
