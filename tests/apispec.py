# SPDX-License-Identifier: Apache-2.0
"""Replies against Docker's own description of them (Swagger 2.0 as JSON schema)."""
import copy, functools, os, pathlib, re

import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent


@functools.lru_cache
def spec():
    shared = pathlib.Path(os.environ.get('HOSTEL_SHARED', ROOT.parent / 'shared'))
    path = shared / 'specs/docker-engine-api-v1.50.yaml'
    if not path.exists():
        pytest.skip(f'{path} is not there (HOSTEL_SHARED)')
    return yaml.load(path.read_text(), Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))


def as_json_schema(s):
    """x-nullable becomes a type; formats and examples say nothing here."""
    if isinstance(s, list):
        return [as_json_schema(x) for x in s]
    if not isinstance(s, dict):
        return s
    out = {k: as_json_schema(v) for k, v in s.items() if k not in ('example', 'format', 'x-go-name')}
    if s.get('x-nullable') or s.get('x-omitempty'):
        if '$ref' in out or 'allOf' in out:
            return {'anyOf': [out, {'type': 'null'}]}
        if isinstance(out.get('type'), str):
            out['type'] = [out['type'], 'null']
            if 'enum' in out:
                out['enum'] = [*out['enum'], None]
    return out


@functools.lru_cache
def definitions():
    return as_json_schema(spec()['definitions'])


def template(path):
    """The path of the specification that `path` is an instance of; literal segments win."""
    path = re.sub(r'^/v1\.\d+', '', path.split('?')[0])
    found = [t for t in spec()['paths'] if re.fullmatch(re.sub(r'\\{\w+\\}', '[^/]+', re.escape(t)), path)]
    return min(found, key=lambda t: t.count('{'))


def problems(method, path, status, document):
    """What is wrong with a reply's document; [] is how it must be."""
    response = spec()['paths'][template(path)][method.lower()]['responses'].get(status)
    if response is None:
        return [f'{status} is not described']
    if 'schema' not in response:
        return []
    schema = {**as_json_schema(copy.deepcopy(response['schema'])), 'definitions': definitions()}
    return [f'{"/".join(map(str, e.absolute_path))}: {e.message[:300]}'
            for e in jsonschema.Draft4Validator(schema).iter_errors(document)]
