# SPDX-License-Identifier: Apache-2.0
"""Networks that users make: isolation, names, several of one instance, and what is left after a crash."""
import contextlib, json, os, re, socket, threading, time

import pytest

import apispec
from conftest import free_port, links, run, waiter


wait_for = waiter(30)


def net(d, name, **body):
    r = d.api('POST', '/networks/create', {'Name': name, **body})
    assert r.status == 201, r.body
    return r.json['Id']


def up(d, name, *options, image='busybox', command=('sleep', '1000')):
    d.ok('run', '-d', '--name', name, *options, image, *command)
    return d.api('GET', f'/containers/{name}/json').json


def address(d, name, network):
    return d.api('GET', f'/containers/{name}/json').json['NetworkSettings']['Networks'][network]['IPAddress']


def ping(d, name, to, count=1, wait=5):
    return d.hostel('exec', name, 'ping', '-c', str(count), '-w', str(wait), '-W', str(wait), to)


def reaches(d, name, to):
    return ping(d, name, to).returncode == 0


def serve(d, name, *options, port=80):
    """An instance that answers HTTP with its own name."""
    return up(d, name, *options, command=('sh', '-c', f'mkdir /w; echo {name} > /w/index.html; exec httpd -f -p {port} -h /w'))


def fetch(d, name, url, wait=10):
    return d.hostel('exec', name, 'timeout', str(wait), 'wget', '-q', '-O', '-', url)


# ---- the thing itself ----

def test_a_network_is_made_seen_and_removed(hosteld):
    id = net(hosteld, 'n1', Labels={'a': 'b'}, Options={'com.docker.network.driver.mtu': '1400'})
    r = hosteld.api('GET', '/v1.50/networks/n1')
    assert not apispec.problems('GET', '/networks/n1', r.status, r.json)
    n = r.json
    assert (n['Id'], n['Driver'], n['Scope'], n['Labels'], n['Internal']) == (id, 'bridge', 'local', {'a': 'b'}, False)
    assert re.fullmatch(r'[\d.]+/16', n['IPAM']['Config'][0]['Subnet'])
    assert f'br-{id[:12]}' in links()
    names = lambda q='': [x['Name'] for x in hosteld.api('GET', f'/networks{q}').json]
    assert set(names()) == {'bridge', 'host', 'none', 'n1'}
    assert names('?filters={"label":["a=b"]}') == ['n1'] and names('?filters={"label":["a=c"]}') == []
    assert names('?filters={"type":["custom"]}') == ['n1'] and names('?filters={"dangling":["true"]}') == ['n1']
    assert names(f'?filters={{"id":["{id[:5]}"],"name":["n"]}}') == ['n1']
    assert 'mtu 1400' in hosteld.ok('run', '--rm', '--network', 'n1', 'busybox', 'ip', 'link', 'show', 'eth0')
    assert hosteld.api('DELETE', f'/networks/{id[:12]}').status == 204
    assert f'br-{id[:12]}' not in links() and hosteld.api('GET', '/networks/n1').status == 404


REFUSED = [
    ({'Name': 'bridge'}, 403, 'predefined bridge network'),
    ({'Name': ''}, 400, 'invalid network name'),
    ({'Name': 'a/b'}, 400, 'invalid network name'),
    ({'Name': 'x', 'IPAM': {'Config': [{'Subnet': '10.1.2.3/24'}]}}, 400, 'it should be 10.1.2.0/24'),
    ({'Name': 'x', 'IPAM': {'Config': [{'Subnet': '10.1.2.0/31'}]}}, 400, 'length is 8 to 29'),
    ({'Name': 'x', 'IPAM': {'Config': [{'Subnet': 'fd00::/64'}]}}, 501, 'IPv6'),
    ({'Name': 'x', 'IPAM': {'Config': [{'Subnet': '10.231.2.0/24', 'Gateway': '10.1.3.1'}]}}, 400, 'no matching subnet for gateway'),
    ({'Name': 'x', 'IPAM': {'Config': [{'Subnet': '10.231.2.0/24', 'IPRange': '10.1.3.0/28'}]}}, 400, 'no matching subnet for range'),
    ({'Name': 'x', 'IPAM': {'Config': [{'Subnet': '127.0.0.0/8'}]}}, 403, 'Pool overlaps'),
    ({'Name': 'x', 'IPAM': {'Driver': 'dhcp'}}, 501, 'IPAM driver'),
    ({'Name': 'x', 'Options': {'com.docker.network.bridge.enable_icc': 'false'}}, 501, 'enable_icc'),
    ({'Name': 'x', 'Options': {'com.docker.network.bridge.name': 'lo'}}, 409, 'interface lo already'),
    ({'Name': 'x', 'Options': {'com.docker.network.driver.mtu': 'big'}}, 400, 'mtu'),
]


@pytest.mark.parametrize('body, status, text', REFUSED, ids=[t for _, _, t in REFUSED])
def test_what_cannot_be_is_refused_in_words(hosteld, body, status, text):
    r = hosteld.api('POST', '/networks/create', body)
    assert r.status == status and text in r.json['message'], (r.status, r.body)
    assert hosteld.api('GET', '/networks?filters={"type":["custom"]}').json == []


def test_a_second_network_of_a_name_or_range_is_refused(hosteld):
    net(hosteld, 'n1', IPAM={'Config': [{'Subnet': '10.231.7.0/24'}]})
    r = hosteld.api('POST', '/networks/create', {'Name': 'n1'})
    assert (r.status, r.json['message']) == (409, 'network with name n1 already exists')
    r = hosteld.api('POST', '/networks/create', {'Name': 'n2', 'IPAM': {'Config': [{'Subnet': '10.231.0.0/16'}]}})
    assert r.status == 403 and 'network n1 has 10.231.7.0/24' in r.json['message']


def test_a_used_network_is_kept_and_pruning_spares_it(hosteld):
    net(hosteld, 'used'), net(hosteld, 'idle')
    id = up(hosteld, 'c1', '--network', 'used')['Id']
    r = hosteld.api('DELETE', '/networks/used')
    assert (r.status, r.json['message']) == (403, 'error while removing network: network used has active endpoints '
                                             f'(name:"c1" id:"{id[:12]}")')
    r = hosteld.api('POST', '/v1.50/networks/prune')
    assert not apispec.problems('POST', '/networks/prune', r.status, r.json) and r.json == {'NetworksDeleted': ['idle']}
    members = hosteld.api('GET', '/networks/used').json['Containers']
    assert list(members) == [id] and members[id]['Name'] == 'c1'
    hosteld.ok('rm', '-f', 'c1')
    assert hosteld.api('DELETE', '/networks/used').status == 204
    # One that is left behind, stopped, does not hold it, and says so when it starts.
    net(hosteld, 'gone')
    hosteld.ok('create', '--name', 'c2', '--network', 'gone', 'busybox', 'true')
    assert hosteld.api('DELETE', '/networks/gone').status == 204
    assert 'network gone not found' in hosteld.hostel('start', 'c2').err
    assert 'gone' in hosteld.api('GET', '/containers/c2/json').json['NetworkSettings']['Networks']


# ---- names ----

def test_instances_find_each_other_by_name_alias_and_address(hosteld):
    net(hosteld, 'n1')
    body = {'Image': 'busybox', 'Cmd': ['sleep', '1000'], 'Hostname': 'hostish', 'HostConfig': {'NetworkMode': 'n1'},
            'NetworkingConfig': {'EndpointsConfig': {'n1': {'Aliases': ['web', 'front']}}}}
    for name in ('w1', 'w2'):
        r = hosteld.api('POST', f'/containers/create?name={name}', {**body, 'Hostname': 'h' + name})
        assert r.status == 201, r.body
        assert hosteld.api('POST', f'/containers/{name}/start').status == 204
    up(hosteld, 'asker', '--network', 'n1')
    a1, a2 = address(hosteld, 'w1', 'n1'), address(hosteld, 'w2', 'n1')
    look = lambda name: set(re.findall(r'Address(?: \d)?: +([\d.]+)$', hosteld.ok('exec', 'asker', 'nslookup', '-type=a', name), re.M))
    assert look('w1') == {a1} and look('W1.n1') == {a1} and look('hw2') == {a2}
    assert look('web') == look('front') == look('web.n1') == {a1, a2}
    assert 'w1.n1' in hosteld.ok('exec', 'asker', 'nslookup', a1)
    assert reaches(hosteld, 'asker', 'w2') and reaches(hosteld, 'w1', 'asker')
    net_of = hosteld.api('GET', '/v1.50/containers/w1/json').json['NetworkSettings']['Networks']['n1']
    assert net_of['Aliases'] == ['web', 'front'] and net_of['DNSNames'][:3] == ['w1', 'web', 'front']
    short = hosteld.api('GET', '/v1.44/containers/w1/json').json
    assert short['Id'][:12] in short['NetworkSettings']['Networks']['n1']['Aliases']
    # One goes, its name with it; a name that nobody knows is asked of others, and not answered here.
    hosteld.ok('rm', '-f', 'w1')
    assert look('web') == {a2}
    r = hosteld.docker('run', '--rm', '--network', 'n1', '--link', 'w2:db', 'busybox', 'ping', '-c1', '-w5', 'db')
    assert r.returncode == 0, r.err
    conf = hosteld.ok('exec', 'asker', 'cat', '/etc/resolv.conf')
    gateway = hosteld.api('GET', '/networks/n1').json['IPAM']['Config'][0]['Gateway']
    assert f'nameserver {gateway}' in conf and 'ndots:0' in conf


class NameServer(threading.Thread):
    """Answers every A question with one address, on a loopback address of this process's own."""

    def __init__(self):
        super().__init__(daemon=True)
        self.address = f'127.{os.getpid() // 250 % 250}.{os.getpid() % 250}.53'
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.address, 53))
        self.asked = []
        self.start()

    def run(self):
        while True:
            with contextlib.suppress(OSError):
                q, client = self.udp.recvfrom(2000)
                if not q:
                    return
                self.asked.append(q)
                end = q.index(b'\0', 12) + 5
                head = q[:2] + b'\x81\x80\0\1\0\1\0\0\0\0'
                self.udp.sendto(head + q[12:end] + b'\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\7', client)

    def stop(self):
        self.udp.sendto(b'', (self.address, 53))
        self.join(5)
        self.udp.close()


def test_other_names_are_asked_of_the_instance_s_own_servers(hosteld):
    net(hosteld, 'n1'), net(hosteld, 'n2', Internal=True)
    server = NameServer()
    try:
        up(hosteld, 'asker', '--network', 'n1', '--dns', server.address)
        look = lambda who, name: hosteld.hostel('exec', who, 'nslookup', '-type=a', name)
        assert '192.0.2.7' in look('asker', 'far.example').out
        asked = len(server.asked)
        assert asked and address(hosteld, 'asker', 'n1') in look('asker', 'asker').out and len(server.asked) == asked
        # An internal network's members may not even ask.
        up(hosteld, 'inside', '--network', 'n2', '--dns', server.address)
        r = look('inside', 'far.example')
        assert 'SERVFAIL' in r.out + r.err and len(server.asked) == asked
        assert address(hosteld, 'inside', 'n2') in look('inside', 'inside').out
    finally:
        server.stop()


# ---- isolation ----

def test_networks_do_not_reach_each_other_but_published_ports_do(hosteld):
    net(hosteld, 'n1'), net(hosteld, 'n2')
    port = free_port()
    serve(hosteld, 'aa', '--network', 'n1', '-p', f'{port}:80')
    serve(hosteld, 'bb', '--network', 'n2')
    serve(hosteld, 'cc')
    a, b, c = address(hosteld, 'aa', 'n1'), address(hosteld, 'bb', 'n2'), address(hosteld, 'cc', 'bridge')
    for src, dst in (('aa', b), ('bb', a), ('aa', c), ('cc', a), ('cc', b)):
        assert ping(hosteld, src, dst, wait=1).returncode, (src, dst)
    assert run('busybox', 'wget', '-q', '-O-', f'http://127.0.0.1:{port}/').out == 'aa'
    gateway = hosteld.api('GET', '/networks/n2').json['IPAM']['Config'][0]['Gateway']
    assert fetch(hosteld, 'bb', f'http://{gateway}:{port}/').out == 'aa'
    assert run('busybox', 'ping', '-c1', '-w5', b).returncode == 0


def test_an_internal_network_has_no_way_out(hosteld):
    net(hosteld, 'in', Internal=True), net(hosteld, 'out')
    port = free_port()
    serve(hosteld, 'aa', '--network', 'in', '--cap-add', 'NET_ADMIN')
    up(hosteld, 'bb', '--network', 'in')
    serve(hosteld, 'cc', '--network', 'out', '-p', f'{port}:80')
    assert reaches(hosteld, 'bb', 'aa')
    assert 'default' not in hosteld.ok('exec', 'aa', 'ip', 'route')
    gateway = hosteld.api('GET', '/networks/in').json['IPAM']['Config'][0]['Gateway']
    # Not even by a route of its own making, nor by a port that another one published.
    hosteld.ok('exec', 'aa', 'ip', 'route', 'add', 'default', 'via', gateway)
    assert ping(hosteld, 'aa', address(hosteld, 'cc', 'out'), wait=1).returncode
    assert fetch(hosteld, 'aa', f'http://{gateway}:{port}/', wait=1).returncode
    assert fetch(hosteld, 'cc', f'http://{address(hosteld, "aa", "in")}/', wait=1).returncode


def test_what_leaves_a_network_has_the_host_s_address(hosteld):
    """A namespace beyond a veth stands for the world."""
    net(hosteld, 'n1')
    up(hosteld, 'aa', '--network', 'n1')
    n = hosteld.tag
    ns, veth = f'w{n}', f'w{n}'
    ours, theirs = f'10.232.{int(n.split("n")[0]) % 250}.1', f'10.232.{int(n.split("n")[0]) % 250}.2'
    assert run('ip', 'netns', 'add', ns).returncode == 0
    try:
        for line in (f'link add {veth} type veth peer name eth0 netns {ns}', f'addr add {ours}/30 dev {veth}',
                     f'link set {veth} up', f'-n {ns} addr add {theirs}/30 dev eth0', f'-n {ns} link set eth0 up'):
            assert (r := run('ip', *line.split())).returncode == 0, r.err
        # It has no way back to the network's range: only a masqueraded question is answered.
        assert reaches(hosteld, 'aa', theirs)
    finally:
        run('ip', 'netns', 'del', ns)


# ---- several networks ----

def test_an_instance_on_two_networks(hosteld):
    net(hosteld, 'n1'), net(hosteld, 'n2', Internal=True)
    for name, network in (('one', 'n1'), ('two', 'n2')):
        serve(hosteld, name, '--network', network)
    body = {'Image': 'busybox', 'Cmd': ['sleep', '1000'], 'HostConfig': {'NetworkMode': 'n2'},
            'NetworkingConfig': {'EndpointsConfig': {'n2': {'Aliases': ['x']}, 'n1': {'Aliases': ['y']}}}}
    assert hosteld.api('POST', '/containers/create?name=both', body).status == 201
    assert hosteld.api('POST', '/containers/both/start').status == 204
    assert fetch(hosteld, 'both', 'http://one/').out == 'one' and fetch(hosteld, 'both', 'http://two/').out == 'two'
    assert reaches(hosteld, 'one', 'y') and reaches(hosteld, 'two', 'x')
    assert ping(hosteld, 'one', 'x', wait=2).returncode
    n1 = hosteld.api('GET', '/networks/n1').json['IPAM']['Config'][0]['Gateway']
    assert f'default via {n1} dev eth1' in hosteld.ok('exec', 'both', 'ip', 'route')
    r = hosteld.api('GET', '/v1.50/containers/both/json')
    assert not [p for p in apispec.problems('GET', '/containers/both/json', r.status, r.json) if 'Network' in p]
    nets = r.json['NetworkSettings']['Networks']
    assert set(nets) == {'n1', 'n2'} and nets['n1']['EndpointID'] != nets['n2']['EndpointID']
    assert set(hosteld.api('GET', '/containers/both/stats?stream=0').json['networks']) == {'eth0', 'eth1'}
    hosteld.ok('restart', '-t', '0', 'both')
    assert fetch(hosteld, 'both', 'http://one/').out == 'one' and fetch(hosteld, 'both', 'http://two/').out == 'two'


def test_connect_and_disconnect_while_it_runs(hosteld):
    id1, id2 = net(hosteld, 'n1'), net(hosteld, 'n2')
    serve(hosteld, 'one', '--network', 'n1'), serve(hosteld, 'two', '--network', 'n2')
    up(hosteld, 'cc', '--network', 'n1')
    r = hosteld.api('POST', '/networks/n2/connect', {'Container': 'cc', 'EndpointConfig': {'Aliases': ['seen']}})
    assert r.status == 200, r.body
    assert fetch(hosteld, 'cc', 'http://two/').out == 'two' and reaches(hosteld, 'two', 'seen')
    assert hosteld.api('POST', '/networks/n2/connect', {'Container': 'cc'}).status == 403
    # The way out goes with the first network, and the second one takes over.
    assert hosteld.api('POST', f'/networks/{id1}/disconnect', {'Container': 'cc'}).status == 200
    assert hosteld.hostel('exec', 'cc', 'nslookup', '-type=a', 'one').returncode
    n2 = hosteld.api('GET', '/networks/n2').json['IPAM']['Config'][0]['Gateway']
    assert f'default via {n2} ' in hosteld.ok('exec', 'cc', 'ip', 'route')
    assert f'nameserver {n2}' in hosteld.ok('exec', 'cc', 'cat', '/etc/resolv.conf')
    assert list(hosteld.api('GET', '/containers/cc/json').json['NetworkSettings']['Networks']) == ['n2']
    assert hosteld.api('POST', '/networks/n1/disconnect', {'Container': 'cc'}).status == 403
    # It stays so over a restart of the container, and of the daemon.
    hosteld.kill()
    hosteld.start()
    assert fetch(hosteld, 'cc', 'http://two/').out == 'two'
    hosteld.ok('restart', '-t', '0', 'cc')
    assert fetch(hosteld, 'cc', 'http://two/').out == 'two'


def test_a_container_of_the_default_network_joins_another(hosteld):
    net(hosteld, 'n1')
    serve(hosteld, 'one', '--network', 'n1')
    port = free_port()
    serve(hosteld, 'cc', '-p', f'{port}:80')
    assert hosteld.docker('network', 'connect', '--ip', (ip := address(hosteld, 'one', 'n1').rsplit('.', 1)[0] + '.77'),
                          'n1', 'cc').returncode == 0
    assert fetch(hosteld, 'cc', 'http://one/').out == 'one' and address(hosteld, 'cc', 'n1') == ip
    assert hosteld.docker('network', 'disconnect', 'bridge', 'cc').returncode == 0
    assert run('busybox', 'wget', '-q', '-O-', f'http://127.0.0.1:{port}/').out == 'cc'
    assert hosteld.docker('network', 'disconnect', 'n1', 'cc').returncode == 0
    assert 'eth' not in hosteld.ok('exec', 'cc', 'ip', 'link')
    assert hosteld.docker('network', 'connect', 'n1', 'cc').returncode == 0
    assert run('busybox', 'wget', '-q', '-O-', f'http://127.0.0.1:{port}/').out == 'cc'


def test_an_alias_needs_a_network_that_knows_it(hosteld):
    words = 'network-scoped alias is supported only for containers in user defined networks'
    assert words in hosteld.hostel('create', '--network-alias', 'x', 'busybox').err
    net(hosteld, 'n1'), up(hosteld, 'cc', '--network', 'n1')
    assert words in hosteld.hostel('network', 'connect', '--alias', 'x', 'bridge', 'cc').err
    assert list(hosteld.api('GET', '/containers/cc/json').json['NetworkSettings']['Networks']) == ['n1']


def test_names_are_answered_over_tcp_too_and_on_the_bridge_alone(hosteld):
    net(hosteld, 'n1'), net(hosteld, 'n2')
    pid = {n: up(hosteld, n, '--network', net_of)['State']['Pid'] for n, net_of in (('aa', 'n1'), ('bb', 'n2'))}
    gateway = hosteld.api('GET', '/networks/n1').json['IPAM']['Config'][0]['Gateway']
    query = b'\x12\x34\1\0\0\1\0\0\0\0\0\0\2aa\0\0\1\0\1'
    ask = f"""import socket
s = socket.create_connection(({gateway!r}, 53), 5)
s.sendall({bytes([0, len(query)])!r} + {query!r})
r = s.makefile('rb')
print(*r.read(int.from_bytes(r.read(2), 'big'))[-4:], sep='.')"""
    p = run('nsenter', '-t', pid['aa'], '-n', '/usr/bin/python3', '-c', ask)
    assert p.out == address(hosteld, 'aa', 'n1'), p.err
    # Another network's members do not get an answer there: not of what is here, nor of anything.
    p = run('nsenter', '-t', pid['bb'], '-n', '/usr/bin/python3', '-c', ask)
    assert p.returncode and not p.out


def test_modes_that_cannot_join(hosteld):
    net(hosteld, 'n1')
    for mode, words in (('host', 'host network'), ('none', 'private (none) mode')):
        up(hosteld, f'm-{mode}', '--network', mode)
        r = hosteld.docker('network', 'connect', 'n1', f'm-{mode}')
        assert r.returncode and words in r.err
    r = hosteld.docker('network', 'connect', 'host', 'm-none')
    assert r.returncode and 'host network' in r.err


# ---- the command line ----

def test_the_command_line(hosteld):
    id = hosteld.ok('network', 'create', '--subnet', '10.231.9.0/24', '--gateway', '10.231.9.9', '--ip-range', '10.231.9.64/28',
                    '--label', 'a=b', 'n1')
    hosteld.ok('network', 'create', '--internal', 'n2')
    listed = {n['Name']: n for n in json.loads(hosteld.ok('network', 'ls', '--format', 'json'))}
    assert set(listed) == {'bridge', 'host', 'none', 'n1', 'n2'} and listed['n1']['Id'] == id and listed['n2']['Internal']
    assert re.search(rf'^{id[:12]} +n1 +bridge +10.231.9.0/24 +no', hosteld.ok('network', 'ls'), re.M)
    assert hosteld.ok('network', 'ls', '-q', '--filter', 'label=a=b') == id[:12]
    assert hosteld.ok('network', 'ls', '--filter', 'name=n1', '--format', '{{.Name}} {{.Driver}}') == 'n1 bridge'
    hosteld.ok('run', '-d', '--name', 'aa', '--network', 'n1', '--network', 'n2', '--network-alias', 'www', 'busybox', 'sleep', '1000')
    hosteld.ok('run', '-d', '--name', 'bb', '--network', 'n1', '--ip', '10.231.9.200', 'busybox', 'sleep', '1000')
    assert re.fullmatch(r'10\.231\.9\.(6[4-9]|7\d)', address(hosteld, 'aa', 'n1')) and address(hosteld, 'aa', 'n2')
    assert address(hosteld, 'bb', 'n1') == '10.231.9.200' and reaches(hosteld, 'bb', 'www')
    assert 'default via 10.231.9.9 ' in hosteld.ok('exec', 'bb', 'ip', 'route')
    hosteld.ok('network', 'connect', '--alias', 'two', 'n2', 'bb')
    assert reaches(hosteld, 'aa', 'two')
    hosteld.ok('network', 'disconnect', 'n2', 'bb')
    r = hosteld.hostel('network', 'rm', 'n1')
    assert r.returncode == 1 and 'has active endpoints (name:"aa"' in r.err
    assert json.loads(hosteld.ok('network', 'inspect', 'n1'))[0]['Name'] == 'n1' == json.loads(hosteld.ok('inspect', 'n1'))[0]['Name']
    assert set(hosteld.ok('__complete', 'network', 'rm', 'n').split()) == {'none', 'n1', 'n2'}
    hosteld.ok('rm', '-f', 'aa', 'bb')
    assert set(hosteld.ok('network', 'prune').split()) == {'n1', 'n2'}


# ---- after a crash ----

def test_networks_outlive_a_killed_daemon_and_a_reboot(hosteld):
    id = net(hosteld, 'n1', Internal=True)
    serve(hosteld, 'one', '--network', 'n1')
    up(hosteld, 'cc', '--network', 'n1')
    ip = address(hosteld, 'one', 'n1')
    hosteld.kill()
    # Links go on without a daemon; names do not.
    assert run('busybox', 'ping', '-c1', '-w5', ip).returncode == 0
    hosteld.start()
    assert fetch(hosteld, 'cc', 'http://one/').out == 'one' and address(hosteld, 'one', 'n1') == ip
    hosteld.ok('rm', '-f', 'one', 'cc')
    hosteld.kill()
    assert run('ip', 'link', 'del', f'br-{id[:12]}').returncode == 0
    hosteld.start()
    assert f'br-{id[:12]}' in links()
    serve(hosteld, 'one', '--network', 'n1')
    up(hosteld, 'cc', '--network', 'n1')
    assert fetch(hosteld, 'cc', 'http://one/').out == 'one'


def test_networks_outlive_a_lost_store(new_hosteld, busybox_tar):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    net(d, 'n1'), net(d, 'n2')
    serve(d, 'one', '--network', 'n1')
    up(d, 'cc', '--network', 'n1')
    before = address(d, 'one', 'n1')
    d.kill()
    for path in d.root.glob('hostel.db*'):
        path.unlink()
    d.start()
    assert wait_for(lambda: address(d, 'one', 'n1')) == before
    assert (r := fetch(d, 'cc', 'http://one/')).out == 'one', r.err + d.log
    assert {n['Name'] for n in d.api('GET', '/networks').json} == {'bridge', 'host', 'none', 'n1', 'n2'}


def test_teardown_takes_bridges_and_rules(new_hosteld, busybox_tar):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    bridges = {f'br-{net(d, n)[:12]}' for n in ('n1', 'n2')}
    d.ok('run', '--rm', '--network', 'n1', 'busybox', 'true')
    assert bridges <= links()
    d.kill()
    assert run(*d.argv, '--teardown').returncode == 0
    assert not bridges & links() and not d.leftovers()
    # An orderly end does the same, and a start makes them anew.
    d.start()
    assert bridges <= links()
    d.stop()
    assert not bridges & links() and not d.leftovers()


# ---- VMs ----

def test_a_vm_joins_a_network_and_knows_its_names(kernel):
    d = kernel
    net(d, 'n1')
    serve(d, 'one', '--network', 'n1')
    d.ok('run', '-d', '--vm', '--name', 'vm', '--network', 'n1', 'busybox', 'sleep', '1000', timeout=300)
    assert d.ok('exec', 'vm', 'wget', '-q', '-O', '-', 'http://one/', timeout=120) == 'one'
    assert reaches(d, 'one', 'vm')
    d.ok('vm', 'create', '--network', 'n1', 'machine')
    d.ok('start', 'machine', timeout=300)
    assert wait_for(lambda: reaches(d, 'one', 'machine'), timeout=60)
    net(d, 'n2')
    r = d.docker('network', 'connect', 'n2', 'vm')
    assert r.returncode and 'running VM' in r.err
    r = d.api('POST', '/containers/create', {'Image': 'busybox', 'HostConfig': {'NetworkMode': 'n1', 'Runtime': 'vm'},
                                             'NetworkingConfig': {'EndpointsConfig': {'n1': {}, 'n2': {}}}})
    assert r.status == 501 and 'a VM cannot have more than one network' in r.json['message']


# ---- uplinks ----

@pytest.fixture
def wire(tmp_path):
    """One end of a cable, the host's, and a neighbour in a namespace of its own at the other end."""
    host, there, ns = f'hw{os.getpid()}a', f'hw{os.getpid()}b', f'hostel-w{os.getpid()}'
    for words in (['netns', 'add', ns], ['link', 'add', host, 'type', 'veth', 'peer', 'name', there, 'netns', ns],
                  ['-n', ns, 'addr', 'add', '10.214.9.77/24', 'dev', there], ['-n', ns, 'link', 'set', there, 'up']):
        assert run('ip', *words).returncode == 0, words
    yield host
    run('ip', 'link', 'del', host)
    run('ip', 'netns', 'del', ns)


def master_of(link):
    return os.path.basename(os.path.realpath(f'/sys/class/net/{link}/master')) if os.path.exists(f'/sys/class/net/{link}/master') else None


@pytest.mark.parametrize('vm', [False, True], ids=['container', 'vm'])
def test_an_uplink_puts_instances_on_the_link_of_an_interface(request, hosteld, wire, vm):
    if vm:
        request.getfixturevalue('kernel')
    hosteld.ok('network', 'create', '--subnet', '10.214.9.0/24', '--gateway', '10.214.9.1', '--uplink', wire, 'lan')
    assert hosteld.api('GET', '/networks/lan').json['Options'] == {'hostel.uplink': wire}
    bridge = master_of(wire)
    assert bridge.startswith('br-')
    up(hosteld, 'in', *(['--vm', '-m', '256m'] if vm else []), '--network', 'lan')
    assert address(hosteld, 'in', 'lan').startswith('10.214.9.') and reaches(hosteld, 'in', '10.214.9.77')
    run('ip', 'link', 'set', wire, 'nomaster')  # somebody else's hand, while no hosteld looks
    hosteld.stop()
    hosteld.start()
    wait_for(lambda: master_of(wire) == bridge)
    assert reaches(hosteld, 'in', '10.214.9.77')
    hosteld.ok('rm', '-f', 'in')
    hosteld.ok('network', 'rm', 'lan')
    assert wire in links() and master_of(wire) is None


def test_an_uplink_that_would_do_harm_is_refused(hosteld, wire):
    def refused(words, *options, subnet=('--subnet', '10.214.9.0/24')):
        before = links()
        p = hosteld.hostel('network', 'create', *subnet, *options, 'bad')
        assert p.returncode == 1 and words in p.err and len(p.err.splitlines()) == 1, (p.returncode, p.err)
        assert links() == before and hosteld.api('GET', '/networks/bad').status == 404
    refused('uplink: no network interface nosuch0', '--uplink', 'nosuch0')
    refused('leads nowhere', '--uplink', 'lo')
    refused('an uplink needs a subnet', '--uplink', wire, subnet=())
    refused('an internal network has no uplink', '--uplink', wire, '--internal')
    run('ip', 'addr', 'add', '10.215.3.4/24', 'dev', wire)
    refused(f'{wire} has the address 10.215.3.4/24, which the host could not use any more', '--uplink', wire)
    run('ip', 'addr', 'del', '10.215.3.4/24', 'dev', wire)
    hosteld.ok('network', 'create', '--subnet', '10.214.9.0/24', '--uplink', wire, 'lan')
    refused(f'{wire} is a port of br-', '--uplink', wire, subnet=('--subnet', '10.214.10.0/24'))
    hosteld.ok('network', 'rm', 'lan')
