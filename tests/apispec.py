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


# ---- hostel's own (/hostel/v1/openapi.json, OpenAPI 3.0) ----

def as_schema(x):
    """nullable becomes a type; a text in the place of a schema names one."""
    if isinstance(x, str):
        return {'$ref': f'#/components/schemas/{x}'}
    if isinstance(x, list):
        return [as_schema(y) if isinstance(y, dict) else y for y in x]
    out = {k: as_schema(v) if isinstance(v, (dict, list)) or k == 'items' else v for k, v in x.items()}
    return {'anyOf': [out, {'type': 'null'}]} if out.pop('nullable', False) is True else out


def described(d, document, schema):
    """The document, which must be as the daemon's own description says."""
    components = d.api('GET', '/hostel/v1/openapi.json').json['components']
    jsonschema.Draft7Validator({'components': as_schema(components), **as_schema(schema)}).validate(document)
    return document
