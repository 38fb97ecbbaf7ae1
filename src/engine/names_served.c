/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names on a user's network: its members ask the name server on its bridge, which knows
 * instances by name, alias, host name and short id on every network that the asker shares
 * with them, and passes the rest on.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/engine_int.h"
#include "net/files.h"
#include "util/fd.h"
#include "util/mem.h"

#define DNS_PORT 53

/* ---- who asks ---- */

static struct instance *instance_at(const struct engine *e, uint32_t address)
{
	char text[NET_ADDRESS_TEXT];
	struct instance *i;

	net_address_text(address, text);
	TAILQ_FOREACH(i, &e->instances, link)
	for (size_t k = 0; k < i->n_ends; k++)
		if (!strcmp(i->ends[k].address, text))
			return i;
	return NULL;
}

/* The @k-th user's network that an asker is on; whoever is no instance is on the server's. */
static struct network *network_of(struct network *at, const struct instance *asker, size_t *k)
{
	while (asker && *k < asker->n_ends) {
		struct network *n = network_by_id(at->e, asker->ends[(*k)++].network);

		if (n && !network_is_default(n))
			return n;
	}
	return !asker && !(*k)++ ? at : NULL;
}

/* ---- names ---- */

static bool has_alias(const struct instance *i, const struct network *n, const char *name)
{
	const struct spec_endpoint *said = spec_endpoint_on(i->spec, n->id);

	for (size_t k = 0; said && k < said->aliases.n; k++)
		if (!strcasecmp(said->aliases.v[k], name))
			return true;
	return false;
}

static bool is_called(const struct instance *i, const struct network *n, const char *name)
{
	const char *hostname = i->spec->hostname;

	return !strcasecmp(i->spec->name, name) || has_alias(i, n, name) ||
	       (strlen(name) == 12 && !strncmp(i->id, name, 12)) ||
	       (hostname && !strcasecmp(hostname, name));
}

static void add_end(const struct instance *i, const struct network *n, struct dns_found *f)
{
	const struct endpoint *end = instance_end_on(i, n->id);
	uint32_t address;
	struct err *e = end ? net_parse_address(end->address, &address) : NULL;

	if (end && !e && f->n < DNS_FOUND_MAX)
		f->v[f->n++] = address;
	err_free(e);
}

/* Those on a network that are called so, in this form or as NAME.NETWORK. */
static bool find_on(const struct network *n, const char *name, struct dns_found *f)
{
	const char *dot = strchr(name, '.');
	OWN(mem) char *first = NULL;
	struct instance *i;
	size_t before = f->n;

	/* A name may have dots itself: the network's comes last. */
	while (dot && strcasecmp(dot + 1, n->name))
		dot = strchr(dot + 1, '.');
	if (dot)
		first = xstrndup(name, (size_t)(dot - name));
	TAILQ_FOREACH(i, &n->e->instances, link)
	if (instance_end_on(i, n->id) &&
	    (is_called(i, n, name) || (first && is_called(i, n, first))))
		add_end(i, n, f);
	return f->n > before;
}

/* --link NAME:ALIAS: a name of the asker's own for another one. */
static bool find_link(const struct network *n, const struct instance *asker, const char *name,
		      struct dns_found *f)
{
	for (size_t k = 0; asker && k < asker->spec->links.n; k++) {
		const char *link = asker->spec->links.v[k], *colon = strchr(link, ':');
		OWN(mem) char *target = xstrndup(link, strcspn(link, ":"));

		if (colon && !strcasecmp(colon + 1, name) && find_on(n, target, f))
			return true;
	}
	return false;
}

static bool find_name(struct network *at, const struct instance *asker, const char *name,
		      struct dns_found *f)
{
	struct network *n;
	size_t k = 0;
	bool found = false;

	while ((n = network_of(at, asker, &k)))
		found = find_on(n, name, f) || find_link(n, asker, name, f) || found;
	return found;
}

/* ---- addresses ---- */

static enum dns_verdict find_address(struct network *at, const struct instance *asker,
				     uint32_t address, struct dns_found *f)
{
	const struct instance *i = instance_at(at->e, address);
	struct network *n;
	size_t k = 0;
	char text[NET_ADDRESS_TEXT];

	net_address_text(address, text);
	while ((n = network_of(at, asker, &k))) {
		const struct endpoint *end = i ? instance_end_on(i, n->id) : NULL;

		if (end && !strcmp(end->address, text)) {
			snprintf(f->name, sizeof(f->name), "%.120s.%.120s", i->spec->name, n->name);
			return DNS_KNOWN;
		}
		if (net_prefix_has(&n->subnet, address))
			return DNS_NO_NAME;
	}
	return DNS_FORWARD;
}

/* ---- the rest ---- */

/* Nothing of an internal network gets out, not even a question. */
static bool may_ask_others(struct network *at, const struct instance *asker)
{
	if (!asker)
		return !at->is_internal;
	for (size_t k = 0; k < asker->n_ends; k++) {
		const struct network *n = network_by_id(at->e, asker->ends[k].network);

		if (n && !n->is_internal)
			return true;
	}
	return false;
}

static enum dns_verdict look_up(void *arg, uint32_t client, const struct dns_question *q,
				struct dns_found *ret)
{
	struct network *at = arg;
	const struct instance *asker = instance_at(at->e, client);
	enum dns_verdict v = DNS_FORWARD;
	uint32_t address;

	if (*q->name && find_name(at, asker, q->name, ret))
		return DNS_KNOWN; /* of another type: it exists, and has no such record */
	if (dns_reverse(q->name, &address))
		v = find_address(at, asker, address, ret);
	return v == DNS_FORWARD && !may_ask_others(at, asker) ? DNS_FAIL : v;
}

/* The instance's own --dns, or the host's, those on its loopback too: we are on the host. */
static size_t upstreams(void *arg, uint32_t client, struct dns_upstream ret[DNS_UPSTREAMS_MAX])
{
	struct network *at = arg;
	const struct instance *asker = instance_at(at->e, client);
	OWN(mem) char *host = NULL;
	OWN(mem) char *text = NULL;
	char *rest = NULL;
	size_t n = 0;

	err_free(fd_read_file(AT_FDCWD, "/etc/resolv.conf", 64 << 10, &host));
	text = net_resolv_text(&(struct net_resolv) {
	    .host = host ? host : "",
	    .dns = asker ? &asker->spec->dns : NULL,
	    .keep_loopback = true,
	});
	for (char *line = strtok_r(text, "\n", &rest); line && n < DNS_UPSTREAMS_MAX;
	     line = strtok_r(NULL, "\n", &rest))
		if (!strncmp(line, "nameserver ", 11) &&
		    dns_upstream_parse(line + 11, DNS_PORT, &ret[n]))
			n++;
	return n;
}

struct err *names_serve(struct network *n)
{
	const struct dns_owner owner = { .look_up = look_up, .upstreams = upstreams, .arg = n };
	const struct dns_where where = { .address = n->subnet.address,
					 .port = DNS_PORT,
					 .device = n->bridge };
	struct err *e;

	if (n->dns)
		return NULL;
	e = dns_server_new(n->e->loop, &where, &owner, &n->dns);
	if (e && err_kind(e) == ERR_EXISTS) {
		OWN(mem)
		char *holder = net_port_holder(NET_UDP, n->subnet.address, DNS_PORT);
		OWN(err) struct err *why = e;

		return err_new(ERR_EXISTS, "names of network %s cannot be served: %s by %s",
			       n->name, err_text(why), holder ? holder : "another program");
	}
	return e;
}
