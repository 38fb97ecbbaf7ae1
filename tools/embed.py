#!/usr/bin/env python3
"""Make a C file that holds a text file as a string, or a .so as bytes: embed.py SOURCE OUT NAME HEADER."""
import json, pathlib, sys

source, out, name, header = sys.argv[1:5]
if source.endswith('.so'):
    data = pathlib.Path(source).read_bytes()
    rows = ''.join('\t' + ', '.join(map(str, data[i:i + 20])) + ',\n' for i in range(0, len(data), 20))
    pathlib.Path(out).write_text(f'#include "{header}"\nconst unsigned char {name}[] = {{\n{rows}}};\n'
                                 f'const unsigned {name}_len = {len(data)};\n')
    sys.exit()
text = pathlib.Path(source).read_text()
if source.endswith('.json'):
    text = json.dumps(json.loads(text), separators=(',', ':')) + '\n'
lines = ''.join('\t"%s"\n' % text[i:i + 80].replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n')
                for i in range(0, len(text), 80))
pathlib.Path(out).write_text(f'#include "{header}"\nconst char {name}[] =\n{lines};\n')
