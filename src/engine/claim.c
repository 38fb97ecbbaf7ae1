/* SPDX-License-Identifier: Apache-2.0 */
/* What at most one instance may have: an address and host ports; and their publishing. */
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "util/log.h"
#include "util/mem.h"

bool spec_is_bridged(const struct spec *s)
{
	const char *m = s->network_mode;

	return !m || !*m || streq(m, "bridge") || streq(m, "default");
}

/* ---- the bridge and the ruleset, at the first instance that needs them ---- */

static size_t ports_of(const struct instance *i, struct nft_port *out)
{
	size_t n = 0;

	for (; n < i->n_ports && i->address[0]; n++)
		out[n] = (struct nft_port) {
			.proto = i->ports[n].protocol,
			.host_address = i->ports[n].host_ip,
			.host_port = i->ports[n].host_port,
			.address = i->address,
			.port = i->ports[n].container_port,
		};
	return n;
}

static struct err *setup_rules(struct engine *e)
{
	struct net_prefix net = { e->subnet.address & net_mask(e->subnet.len), e->subnet.len };
	char subnet[NET_ADDRESS_TEXT];
	size_t n = 0, max = 0;
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	max += i->n_ports;
	OWN(mem) struct nft_port *ports = xcalloc(max + 1, sizeof(*ports));

	/* Recovered ones only: what starts now is published by itself. */
	TAILQ_FOREACH(i, &e->instances, link)
	if (instance_is_alive(i) && i->conn)
		n += ports_of(i, ports + n);
	TRY(nft_open(e->c.nft_table, &e->nft));
	return nft_setup(e->nft, net_prefix_text(&net, subnet), e->c.bridge, ports, n);
}

static struct err *choose_subnet(struct engine *e)
{
	if (!e->c.subnet)
		return net_subnet_choose(e->c.bridge, &e->subnet);
	TRY_MSG(net_parse_prefix(e->c.subnet, &e->subnet), "subnet");
	TRY(net_subnet_check(e->c.bridge, &e->subnet));
	/* The network's own address stands for the first one in it. */
	if (!(e->subnet.address & ~net_mask(e->subnet.len)))
		e->subnet.address++;
	return NULL;
}

/* What we make, we remove at an orderly end; what was there before us is not ours. */
static struct err *note_ours(struct engine *e)
{
	if (if_nametoindex(e->c.bridge))
		return NULL;
	TRY(store_begin(e->store));
	engine_dirty(e);
	return store_meta_set(e->store, "bridge", e->c.bridge);
}

struct err *claim_network_ready(struct engine *e)
{
	if (e->net_ready)
		return NULL;
	TRY_MSG(choose_subnet(e), "network");
	net_address_text(e->subnet.address, e->gateway);
	TRY(note_ours(e));
	TRY_MSG(net_bridge_ensure(e->c.bridge, &e->subnet), "bridge %s", e->c.bridge);
	TRY_MSG(setup_rules(e), "nftables");
	e->net_ready = true;
	return NULL;
}

/* ---- addresses ---- */

static bool address_is_used(void *arg, uint32_t address)
{
	struct engine *e = arg;
	char text[NET_ADDRESS_TEXT];
	struct instance *i;

	net_address_text(address, text);
	TAILQ_FOREACH(i, &e->instances, link)
	if (!strcmp(i->address, text))
		return true;
	return false;
}

static struct err *wanted_address(struct instance *i, uint32_t *ret)
{
	struct engine *e = i->e;

	if (!i->spec->ip_address || !*i->spec->ip_address) {
		TRY(net_address_pick(&e->subnet, e->last_address, address_is_used, e, ret));
		e->last_address = *ret;
		return NULL;
	}
	TRY(net_parse_address(i->spec->ip_address, ret));
	if (!net_prefix_has(&e->subnet, *ret))
		return err_new(ERR_INVALID, "no configured subnet contains IP address %s",
			       i->spec->ip_address);
	if (*ret == e->subnet.address || address_is_used(e, *ret))
		return err_new(ERR_EXISTS, "Address already in use");
	return NULL;
}

static struct err *claim_address(struct instance *i)
{
	uint8_t mac[NET_MAC_LEN];
	uint32_t address;

	if (i->address[0])
		return NULL; /* kept over a restart */
	TRY(wanted_address(i, &address));
	net_address_text(address, i->address);
	if (i->spec->mac_address && *i->spec->mac_address) {
		TRY(net_parse_mac(i->spec->mac_address, mac));
	} else {
		net_mac_from_address(address, mac);
	}
	net_mac_text(mac, i->mac);
	return store_claim(i->e->store, "addr", i->address, i->id, NULL);
}

/* ---- ports ---- */

static bool ips_collide(const char *a, const char *b)
{
	bool any_a = !a || !*a || streq(a, "0.0.0.0"), any_b = !b || !*b || streq(b, "0.0.0.0");

	return any_a || any_b || streq(a, b);
}

static struct instance *port_holder(struct engine *e, const struct spec_port *p, int port)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	for (size_t n = 0; n < i->n_ports; n++)
		if (i->ports[n].host_port == port && streq(i->ports[n].protocol, p->protocol) &&
		    ips_collide(i->ports[n].host_ip, p->host_ip))
			return i;
	return NULL;
}

/* Our own instances first: their sockets would only show as "hosteld". */
static struct err *check_holder(struct engine *e, const struct spec_port *p)
{
	struct instance *holder = NULL;
	int last = p->host_port_end > p->host_port ? p->host_port_end : p->host_port;

	for (int port = p->host_port; port && port <= last; port++) {
		holder = port_holder(e, p, port);
		if (!holder)
			return NULL;
	}
	if (!holder)
		return NULL;
	return err_new(ERR_EXISTS, "port is already allocated: %d/%s is held by instance %s",
		       p->host_port, p->protocol, holder->spec->name);
}

static bool is_ipv6(const char *ip)
{
	return ip && strchr(ip, ':') != NULL;
}

static struct err *claim_port(struct instance *i, const struct spec_port *p)
{
	int last = p->host_port_end > p->host_port ? p->host_port_end : p->host_port;
	struct net_port_range want = {
		.proto = streq(p->protocol, "udp") ? NET_UDP : NET_TCP,
		.first = p->host_port,
		.last = last,
	};
	struct spec_port *mine = &i->ports[i->n_ports];
	int port, fd;

	if (p->host_ip && *p->host_ip)
		TRY_MSG(net_parse_address(p->host_ip, &want.address), "publish %d/%s",
			p->container_port, p->protocol);
	TRY(check_holder(i->e, p));
	TRY(net_port_claim(&want, &port, &fd));
	*mine = (struct spec_port) {
		.protocol = xstrdup(p->protocol),
		.container_port = p->container_port,
		.host_ip = xstrdup(p->host_ip ? p->host_ip : ""),
		.host_port = port,
	};
	i->port_fds[i->n_ports++] = fd;
	OWN(mem)
	char *value = xasprintf("%s/%s/%d", p->protocol,
				p->host_ip && *p->host_ip ? p->host_ip : "0.0.0.0", port);

	return store_claim(i->e->store, "port", value, i->id, NULL);
}

/* -P: each exposed port that is not published by itself. */
static struct err *claim_exposed(struct instance *i)
{
	for (size_t n = 0; n < i->spec->exposed.n; n++) {
		OWN(mem) char *text = xstrdup(i->spec->exposed.v[n]);
		char *slash = strchr(text, '/');
		struct spec_port p = { .container_port = atoi(text) };
		bool is_said = false;
		char tcp[] = "tcp";

		if (slash)
			*slash = '\0';
		p.protocol = slash ? slash + 1 : tcp;
		for (size_t k = 0; k < i->spec->n_ports; k++)
			is_said |= i->spec->ports[k].container_port == p.container_port &&
				   streq(i->spec->ports[k].protocol, p.protocol);
		if (!is_said && p.container_port)
			TRY(claim_port(i, &p));
	}
	return NULL;
}

static struct err *claim_ports(struct instance *i)
{
	size_t max = i->spec->n_ports + (i->spec->publish_all ? i->spec->exposed.n : 0);

	if (i->n_ports || !max)
		return NULL; /* kept over a restart */
	i->ports = xcalloc(max, sizeof(*i->ports));
	i->port_fds = xcalloc(max, sizeof(*i->port_fds));
	for (size_t n = 0; n < i->spec->n_ports; n++)
		if (!is_ipv6(i->spec->ports[n].host_ip))
			TRY(claim_port(i, &i->spec->ports[n]));
	return i->spec->publish_all ? claim_exposed(i) : NULL;
}

struct err *claim_publish(struct instance *i)
{
	OWN(mem) struct nft_port *ports = xcalloc(i->n_ports + 1, sizeof(*ports));
	size_t n = ports_of(i, ports), n_udp = 0;
	OWN(mem) int *udp = xcalloc(i->n_ports + 1, sizeof(*udp));

	if (!n)
		return NULL;
	TRY(nft_publish(i->e->nft, ports, n));
	for (size_t k = 0; k < n; k++)
		if (streq(ports[k].proto, "udp"))
			udp[n_udp++] = ports[k].host_port;
	return net_udp_forget(udp, n_udp);
}

struct err *claim_all(struct instance *i)
{
	if (!spec_is_bridged(i->spec))
		return NULL;
	TRY(claim_network_ready(i->e));
	TRY(store_begin(i->e->store));
	instance_touch(i);
	TRY(claim_address(i));
	TRY(claim_ports(i));
	return claim_publish(i);
}

void claim_release(struct instance *i)
{
	OWN(mem) struct nft_port *ports = xcalloc(i->n_ports + 1, sizeof(*ports));
	size_t n = ports_of(i, ports);

	if (!i->address[0] && !i->n_ports)
		return;
	if (n && i->e->nft)
		err_free(nft_unpublish(i->e->nft, ports, n));
	instance_ports_free(i);
	i->address[0] = i->mac[0] = '\0';
	if (store_begin(i->e->store) == NULL)
		err_free(store_release(i->e->store, NULL, i->id));
	instance_touch(i);
}

void claim_resume(struct instance *i)
{
	for (size_t n = 0; n < i->n_ports; n++) {
		struct spec_port *p = &i->ports[n];
		struct net_port_range want = {
			.proto = streq(p->protocol, "udp") ? NET_UDP : NET_TCP,
			.first = p->host_port,
			.last = p->host_port,
		};
		int port;

		/* The map rules serve it in any case; the socket only keeps others away. */
		if (p->host_ip && *p->host_ip)
			err_free(net_parse_address(p->host_ip, &want.address));
		err_free(net_port_claim(&want, &port, &i->port_fds[n]));
	}
}
