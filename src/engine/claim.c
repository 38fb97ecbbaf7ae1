/* SPDX-License-Identifier: Apache-2.0 */
/* What at most one instance may have: addresses and host ports; and their publishing. */
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- addresses ---- */

static bool address_is_used(void *arg, uint32_t address)
{
	const struct network *n = arg;
	char text[NET_ADDRESS_TEXT];
	struct instance *i;

	/* With a range of its own they are not ruled out already. */
	if (address == n->subnet.address ||
	    address == (n->subnet.address | ~net_mask(n->subnet.len)))
		return true;
	net_address_text(address, text);
	TAILQ_FOREACH(i, &n->e->instances, link)
	for (size_t k = 0; k < i->n_ends; k++)
		if (!strcmp(i->ends[k].address, text))
			return true;
	return false;
}

static struct err *wanted_address(struct network *n, const struct spec_endpoint *said,
				  uint32_t *ret)
{
	if (!said->ip || !*said->ip) {
		TRY(net_address_pick(n->range.len ? &n->range : &n->subnet, n->last_address,
				     address_is_used, n, ret));
		n->last_address = *ret;
		return NULL;
	}
	TRY(net_parse_address(said->ip, ret));
	if (!net_prefix_has(&n->subnet, *ret))
		return err_new(ERR_INVALID, "no configured subnet contains IP address %s",
			       said->ip);
	if (address_is_used(n, *ret))
		return err_new(ERR_EXISTS, "Address already in use");
	return NULL;
}

static bool is_free(struct network *n, const char *text, uint32_t *ret)
{
	OWN(err) struct err *bad = net_parse_address(text, ret);

	return !bad && net_prefix_has(&n->subnet, *ret) && !address_is_used(n, *ret);
}

static int free_index(const struct instance *i)
{
	for (int index = 0;; index++) {
		bool is_taken = false;

		for (size_t k = 0; k < i->n_ends; k++)
			is_taken |= i->ends[k].index == index;
		if (!is_taken)
			return index;
	}
}

static bool has_route(const struct instance *i)
{
	for (size_t k = 0; k < i->n_ends; k++)
		if (i->ends[k].has_route)
			return true;
	return false;
}

struct err *claim_end(struct instance *i, const struct spec_endpoint *said, struct network *n,
		      struct endpoint **ret)
{
	struct endpoint end = { .index = free_index(i),
				.has_route = !n->is_internal && !has_route(i) };
	char wish[NET_ADDRESS_TEXT], wish_mac[NET_MAC_TEXT];
	const struct spec_endpoint again = { .ip = wish, .mac = wish_mac };
	uint8_t mac[NET_MAC_LEN];
	uint32_t address;

	/* What a state that is brought back knows; taken by another: a fresh one. */
	if (snapshot_wanted_end(i, n->id, wish, wish_mac) && is_free(n, wish, &address))
		said = &again;
	TRY(wanted_address(n, said, &address));
	net_address_text(address, end.address);
	if (said->mac && *said->mac)
		TRY(net_parse_mac(said->mac, mac));
	else
		net_mac_from_address(address, mac);
	net_mac_text(mac, end.mac);
	snprintf(end.network, sizeof(end.network), "%s", n->id);
	TRY(store_begin(i->e->store));
	TRY(store_claim(i->e->store, "addr", end.address, i->id, NULL));
	i->ends = xrealloc(i->ends, i->n_ends + 1, sizeof(*i->ends));
	i->ends[i->n_ends] = end;
	*ret = &i->ends[i->n_ends++];
	instance_touch(i);
	return NULL;
}

void claim_drop_end(struct instance *i, struct endpoint *end)
{
	size_t at = (size_t)(end - i->ends);

	if (store_begin(i->e->store) == NULL)
		err_free(store_release_one(i->e->store, "addr", end->address, i->id));
	memmove(end, end + 1, (i->n_ends - at - 1) * sizeof(*end));
	i->n_ends--;
	instance_touch(i);
}

static struct err *claim_ends(struct instance *i)
{
	for (size_t k = 0; k < i->spec->n_endpoints; k++) {
		const struct spec_endpoint *said = &i->spec->endpoints[k];
		struct network *n = network_by_id(i->e, said->network);
		struct endpoint *end;

		if (!n)
			return err_new(ERR_NOT_FOUND, "network %s not found",
				       k ? said->network : i->spec->network_mode);
		TRY(network_ready(n));
		if (!instance_end_on(i, n->id)) /* else kept over a restart */
			TRY(claim_end(i, said, n, &end));
	}
	return NULL;
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

static struct err *claim_port_row(struct instance *i, const struct spec_port *p)
{
	OWN(mem)
	char *value =
	    xasprintf("%s/%s/%d", p->protocol, *p->host_ip ? p->host_ip : "0.0.0.0", p->host_port);

	return store_claim(i->e->store, "port", value, i->id, NULL);
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
	return claim_port_row(i, mine);
}

void claim_again(struct instance *i)
{
	for (size_t k = 0; k < i->n_ends; k++)
		err_free(store_claim(i->e->store, "addr", i->ends[k].address, i->id, NULL));
	for (size_t k = 0; k < i->n_ports; k++)
		err_free(claim_port_row(i, &i->ports[k]));
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

/* Where published ports lead: a network from which answers get out. */
static const struct endpoint *published_end(const struct instance *i)
{
	for (size_t k = 0; k < i->n_ends; k++)
		if (i->ends[k].has_route)
			return &i->ends[k];
	return i->n_ends ? &i->ends[0] : NULL;
}

size_t claim_ports_of(const struct instance *i, struct nft_port *out)
{
	const struct endpoint *end = published_end(i);
	size_t n = 0;

	for (; end && n < i->n_ports; n++)
		out[n] = (struct nft_port) {
			.proto = i->ports[n].protocol,
			.host_address = i->ports[n].host_ip,
			.host_port = i->ports[n].host_port,
			.address = end->address,
			.port = i->ports[n].container_port,
		};
	return n;
}

struct err *claim_publish(struct instance *i)
{
	OWN(mem) struct nft_port *ports = xcalloc(i->n_ports + 1, sizeof(*ports));
	size_t n = claim_ports_of(i, ports), n_udp = 0;
	OWN(mem) int *udp = xcalloc(i->n_ports + 1, sizeof(*udp));

	if (!n)
		return NULL;
	TRY(nft_publish(i->e->nft, ports, n));
	for (size_t k = 0; k < n; k++)
		if (streq(ports[k].proto, "udp"))
			udp[n_udp++] = ports[k].host_port;
	return net_udp_forget(udp, n_udp);
}

void claim_unpublish(struct instance *i)
{
	OWN(mem) struct nft_port *ports = xcalloc(i->n_ports + 1, sizeof(*ports));
	size_t n = claim_ports_of(i, ports);

	if (n && i->e->nft)
		err_free(nft_unpublish(i->e->nft, ports, n));
}

struct err *claim_all(struct instance *i)
{
	if (!spec_has_own_network(i->spec) || !i->spec->n_endpoints)
		return NULL;
	TRY(store_begin(i->e->store));
	instance_touch(i);
	TRY(claim_ends(i));
	for (size_t k = 0; k < i->n_ends; k++)
		i->ends[k].is_hot = false; /* the plan will have it */
	TRY(claim_ports(i));
	return claim_publish(i);
}

/* A link goes with its namespace, but not what shapes it; the undo knows only those of the plan. */
static void drop_hot_links(const struct instance *i)
{
	char ifname[IFNAMSIZ];

	for (size_t k = 0; k < i->n_ends; k++) {
		if (!i->ends[k].is_hot)
			continue;
		net_ifname_at(i->id, (unsigned)i->ends[k].index, ifname);
		err_free(net_link_delete(ifname));
	}
}

void claim_release(struct instance *i)
{
	if (!i->n_ends && !i->n_ports)
		return;
	claim_unpublish(i);
	drop_hot_links(i);
	instance_ports_free(i);
	i->n_ends = 0;
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
