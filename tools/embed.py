#!/usr/bin/env python3
"""Make a C file that holds a text file as a string: embed.py SOURCE OUT NAME HEADER."""
import json, pathlib, sys

source, out, name, header = sys.argv[1:5]
text = pathlib.Path(source).read_text()
if source.endswith('.json'):
    text = json.dumps(json.loads(text), separators=(',', ':')) + '\n'
lines = ''.join('\t"%s"\n' % text[i:i + 80].replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n')
                for i in range(0, len(text), 80))
pathlib.Path(out).write_text(f'#include "{header}"\nconst char {name}[] =\n{lines};\n')
