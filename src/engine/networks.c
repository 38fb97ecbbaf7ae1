/* SPDX-License-Identifier: Apache-2.0 */
/* Networks: the table of them, and what is made of one on the host. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/num.h"

#define OPTION_BRIDGE     "com.docker.network.bridge.name"
#define OPTION_MTU        "com.docker.network.driver.mtu"
#define OPTION_MASQUERADE "com.docker.network.bridge.enable_ip_masquerade"
#define OPTION_UPLINK     "hostel.uplink"
#define LEN_MIN           8  /* of a subnet */
#define LEN_MAX           29 /* the bridge and a few instances */

/* ---- the table ---- */

static struct network *network_new(struct engine *e, const char *id, const char *name)
{
	struct network *n = xnew(struct network);

	n->e = e;
	snprintf(n->id, sizeof(n->id), "%s", id);
	n->name = xstrdup(name);
	TAILQ_INSERT_TAIL(&e->networks, n, link);
	return n;
}

static void network_free(struct network *n)
{
	TAILQ_REMOVE(&n->e->networks, n, link);
	dns_server_free(n->dns);
	free(n->name);
	strmap_done(&n->labels);
	strmap_done(&n->options);
	free(n);
}

void networks_free(struct engine *e)
{
	struct network *n;

	while ((n = TAILQ_FIRST(&e->networks)))
		network_free(n);
}

struct network *network_default(const struct engine *e)
{
	return TAILQ_FIRST(&e->networks);
}

bool network_is_default(const struct network *n)
{
	return n == network_default(n->e);
}

struct network *network_by_id(const struct engine *e, const char *id)
{
	struct network *n;

	TAILQ_FOREACH(n, &e->networks, link)
	if (!strcmp(n->id, id))
		return n;
	return NULL;
}

struct network *network_by_bridge(const struct engine *e, const char *bridge)
{
	struct network *n;

	TAILQ_FOREACH(n, &e->networks, link)
	if (!strcmp(n->bridge, bridge))
		return n;
	return NULL;
}

struct err *network_find(const struct engine *e, const char *ref, struct network **ret)
{
	struct network *n, *found = NULL;
	size_t matches = 0, len = strlen(ref);

	TAILQ_FOREACH(n, &e->networks, link)
	if (!strcmp(n->name, ref) || !strcmp(n->id, ref)) {
		*ret = n;
		return NULL;
	}
	TAILQ_FOREACH(n, &e->networks, link)
	if (len && !network_is_default(n) && !strncmp(n->id, ref, len)) {
		found = n;
		matches++;
	}
	if (matches > 1)
		return err_new(ERR_INVALID,
			       "network %s is ambiguous (%zu matches found on ID prefix)", ref,
			       matches);
	if (!found)
		return err_new(ERR_NOT_FOUND, "network %s not found", ref);
	*ret = found;
	return NULL;
}

struct endpoint *instance_end_on(const struct instance *i, const char *network)
{
	for (size_t k = 0; k < i->n_ends; k++)
		if (!strcmp(i->ends[k].network, network))
			return &i->ends[k];
	return NULL;
}

void network_event(struct network *n, const char *action, const struct instance *i)
{
	json_t *a = json_object();

	jx_set_str(a, "name", n->name);
	jx_set_str(a, "type", "bridge");
	if (i)
		jx_set_str(a, "container", i->id);
	event_emit(n->e, "network", action, n->id, a);
}

/* ---- stored form ---- */

static json_t *network_json(const struct network *n)
{
	char subnet[NET_ADDRESS_TEXT];

	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:I}", "version", 1, "name",
			 n->name, "bridge", n->bridge, "subnet",
			 net_prefix_text(&n->subnet, subnet), "range", n->range_text, "internal",
			 n->is_internal, "attachable", n->is_attachable, "labels",
			 jx_from_map(&n->labels), "options", jx_from_map(&n->options), "created_ns",
			 (json_int_t)n->created_ns);
}

/* Texts that go with the numbers. */
static void set_texts(struct network *n)
{
	struct net_prefix net = { n->subnet.address & net_mask(n->subnet.len), n->subnet.len };

	net_address_text(n->subnet.address, n->gateway);
	net_prefix_text(&net, n->subnet_text);
	if (n->range.len)
		net_prefix_text(&n->range, n->range_text);
}

static void read_map(const json_t *o, struct strmap *m)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)o, key, value)
	    strmap_set(m, key, json_string_value(value) ? json_string_value(value) : "");
}

static bool option_is_off(const struct network *n, const char *key)
{
	const char *value = strmap_get(&n->options, key);

	return streq(value, "false") || streq(value, "0");
}

static struct err *apply_options(struct network *n)
{
	const char *mtu = strmap_get(&n->options, OPTION_MTU);
	int64_t value = 0;

	n->keeps_source = option_is_off(n, OPTION_MASQUERADE);
	if (mtu)
		TRY_MSG(num_parse_i64(mtu, 68, 65535, &value), "option " OPTION_MTU);
	n->mtu = (int)value;
	return NULL;
}

static struct err *network_read(struct engine *e, const char *id, const json_t *doc)
{
	struct network *n = network_new(e, id, jx_str(doc, "name", ""));
	const char *range = jx_str(doc, "range", "");

	snprintf(n->bridge, sizeof(n->bridge), "%s", jx_str(doc, "bridge", ""));
	n->is_internal = jx_bool(doc, "internal", false);
	n->is_attachable = jx_bool(doc, "attachable", false);
	n->created_ns = jx_int(doc, "created_ns", 0);
	read_map(json_object_get(doc, "labels"), &n->labels);
	read_map(json_object_get(doc, "options"), &n->options);
	TRY(net_parse_prefix(jx_str(doc, "subnet", ""), &n->subnet));
	if (*range)
		TRY(net_parse_prefix(range, &n->range));
	set_texts(n);
	return apply_options(n);
}

static struct err *load_one(void *arg, const char *key, const json_t *doc)
{
	TRY_MSG(network_read(arg, key, doc), "network %.12s", key);
	return NULL;
}

static char *network_file(const struct engine *e, const char *id)
{
	return engine_path(e, "networks/%s.json", id);
}

static struct err *store_network(struct network *n)
{
	OWN(json) json_t *doc = network_json(n);
	OWN(mem) char *path = network_file(n->e, n->id);

	TRY(jx_save(AT_FDCWD, path, doc, 0600));
	TRY(store_begin(n->e->store));
	TRY(store_put(n->e->store, STORE_NETWORK, n->id, n->name, doc));
	engine_dirty(n->e);
	return NULL;
}

/* ---- a store that was lost: each network has a file ---- */

static struct err *adopt(struct engine *e, const char *id)
{
	OWN(mem) char *path = network_file(e, id);
	OWN(json) json_t *doc = NULL;

	TRY(jx_load(AT_FDCWD, path, &doc));
	TRY(network_read(e, id, doc));
	return store_network(network_by_id(e, id));
}

static void adopt_all(struct engine *e)
{
	OWN(mem) char *folder = engine_path(e, "networks");
	DIR *d = opendir(folder);
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		OWN(mem) char *id = xstrndup(entry->d_name, strcspn(entry->d_name, "."));
		OWN(err) struct err *err = strlen(id) == 64 ? adopt(e, id) : NULL;

		if (err)
			log_error("recovery: network %.12s: %s", id, err_text(err));
	}
	if (d)
		closedir(d);
}

struct err *networks_load(struct engine *e)
{
	struct network *n = network_new(e, NETWORK_DEFAULT, NETWORK_DEFAULT);

	snprintf(n->bridge, sizeof(n->bridge), "%s", e->c.bridge);
	TRY(store_each(e->store, STORE_NETWORK, load_one, e));
	if (e->is_new_store)
		adopt_all(e);
	return NULL;
}

/* ---- on the host ---- */

/* All but @but, for the choice of its range. */
static struct net_prefix *ranges_of_others(const struct network *but, size_t *ret_n)
{
	const struct network *n;
	struct net_prefix *v = NULL;

	*ret_n = 0;
	TAILQ_FOREACH(n, &but->e->networks, link)
	if (n != but && n->subnet.len) {
		v = xrealloc(v, *ret_n + 1, sizeof(*v));
		v[(*ret_n)++] = n->subnet;
	}
	return v;
}

static struct err *choose_subnet(struct network *n)
{
	const char *said = network_is_default(n) ? n->e->c.subnet : NULL;
	size_t n_others;
	OWN(mem) struct net_prefix *others = ranges_of_others(n, &n_others);

	if (!said)
		return net_subnet_choose(n->bridge, others, n_others, &n->subnet);
	TRY_MSG(net_parse_prefix(said, &n->subnet), "subnet");
	/* The network's own address stands for the first one in it. */
	if (!(n->subnet.address & ~net_mask(n->subnet.len)))
		n->subnet.address++;
	return NULL;
}

/* What we make, we remove at an orderly end; what was there before us is not ours. */
static struct err *note_ours(struct network *n)
{
	struct engine *e = n->e;

	if (!network_is_default(n) || if_nametoindex(n->bridge))
		return NULL;
	TRY(store_begin(e->store));
	engine_dirty(e);
	return store_meta_set(e->store, "bridge", n->bridge);
}

static struct nft_network rules_of(const struct network *n)
{
	return (struct nft_network) {
		.bridge = n->bridge,
		.subnet = n->subnet_text,
		.is_internal = n->is_internal,
		.keeps_source = n->keeps_source,
	};
}

/* Ports of recovered ones only: what starts now is published by itself. */
static struct nft_port *ports_now(struct engine *e, size_t *ret_n)
{
	size_t max = 0;
	struct instance *i;
	struct nft_port *ports;

	TAILQ_FOREACH(i, &e->instances, link)
	max += i->n_ports;
	ports = xcalloc(max + 1, sizeof(*ports));
	*ret_n = 0;
	TAILQ_FOREACH(i, &e->instances, link)
	if (instance_is_alive(i) && i->conn)
		*ret_n += claim_ports_of(i, ports + *ret_n);
	return ports;
}

static struct err *setup_rules(struct engine *e)
{
	size_t n_ports, n_networks = 0, max = 0;
	OWN(mem) struct nft_port *ports = ports_now(e, &n_ports);
	struct network *n;

	TAILQ_FOREACH(n, &e->networks, link)
	max++;
	OWN(mem) struct nft_network *networks = xcalloc(max, sizeof(*networks));

	TAILQ_FOREACH(n, &e->networks, link)
	if (n->subnet.len)
		networks[n_networks++] = rules_of(n);
	TRY(store_begin(e->store));
	engine_dirty(e);
	TRY(store_meta_set(e->store, "nft_table", e->c.nft_table));
	TRY(nft_open(e->c.nft_table, &e->nft));

	struct err *err = nft_setup(e->nft, networks, n_networks, ports, n_ports);

	if (err)
		nft_close(TAKE(e->nft));
	return err;
}

static struct err *set_rules(struct network *n)
{
	const struct nft_network rules = rules_of(n);

	return n->e->nft ? nft_network_add(n->e->nft, &rules) : setup_rules(n->e);
}

/* Checked each time: the host may have changed since the network was made. */
static struct err *join_uplink(struct network *n)
{
	const char *uplink = strmap_get(&n->options, OPTION_UPLINK);

	if (!uplink)
		return NULL;
	TRY_MSG(net_uplink_check(uplink, n->bridge), "uplink");
	TRY_MSG(net_uplink_attach(uplink, n->bridge), "uplink %s", uplink);
	return NULL;
}

static struct err *make_ready(struct network *n)
{
	if (!n->subnet.len)
		TRY_MSG(choose_subnet(n), "network");
	set_texts(n);
	if (network_is_default(n) && n->e->c.subnet)
		TRY_MSG(net_subnet_check(n->bridge, &n->subnet), "network");
	TRY(note_ours(n));
	TRY_MSG(net_bridge_ensure(n->bridge, &n->subnet), "bridge %s", n->bridge);
	TRY(join_uplink(n));
	TRY_MSG(set_rules(n), "nftables");
	return network_is_default(n) ? NULL : names_serve(n);
}

struct err *network_ready(struct network *n)
{
	if (n->is_ready)
		return NULL;
	TRY(make_ready(n));
	n->is_ready = true;
	return NULL;
}

static bool is_needed_now(const struct network *n)
{
	struct instance *i;

	if (!network_is_default(n))
		return true;
	TAILQ_FOREACH(i, &n->e->instances, link)
	if (instance_is_alive(i) && instance_end_on(i, n->id))
		return true;
	return false;
}

void networks_recover(struct engine *e)
{
	struct network *n;

	/* Running ones have their links; new ones say what is wrong. */
	TAILQ_FOREACH(n, &e->networks, link)
	if (is_needed_now(n)) {
		OWN(err) struct err *err = network_ready(n);

		if (err)
			log_error("network %s: %s", n->name, err_text(err));
	}
}

static void unmake(struct network *n)
{
	const struct nft_network rules = rules_of(n);

	dns_server_free(TAKE(n->dns));
	if (n->e->nft)
		err_free(nft_network_remove(n->e->nft, &rules));
	err_free(net_bridge_delete(n->bridge));
	n->is_ready = false;
}

/* ---- create ---- */

static struct err *check_name(const struct engine *e, const char *name)
{
	static const char *const predefined[] = { "bridge", "host", "none", "default" };
	OWN(mem) char *longer = xasprintf("%sx", name); /* one character is enough here */
	OWN(err) struct err *bad = spec_check_name(longer);
	struct network *n;

	if (!*name || bad)
		return err_new(ERR_INVALID,
			       "invalid network name \"%.64s\": only [a-zA-Z0-9][a-zA-Z0-9_.-] are "
			       "allowed",
			       name);
	for (size_t k = 0; k < ARRAY_SIZE(predefined); k++)
		if (streq(name, predefined[k]))
			return err_new(ERR_DENIED,
				       "operation is not permitted on predefined %s network", name);
	TAILQ_FOREACH(n, &e->networks, link)
	if (streq(n->name, name))
		return err_new(ERR_EXISTS, "network with name %s already exists", name);
	return NULL;
}

/* Options that would be ignored to somebody's harm. */
static struct err *check_options(const struct strmap *options)
{
	static const struct {
		const char *key, *fine;
	} refused[] = {
		{ "com.docker.network.bridge.enable_icc", "true" },
		{ "com.docker.network.bridge.gateway_mode_ipv4", "nat" },
		{ "com.docker.network.bridge.host_binding_ipv4", "0.0.0.0" },
		{ "com.docker.network.bridge.inhibit_ipv4", "false" },
		{ "com.docker.network.container_iface_prefix", "eth" },
	};

	for (size_t k = 0; options && k < ARRAY_SIZE(refused); k++) {
		const char *value = strmap_get(options, refused[k].key);

		if (value && !streq(value, refused[k].fine))
			return err_new(ERR_UNSUPPORTED,
				       "network option %s=%s is not supported by hostel",
				       refused[k].key, value);
	}
	return NULL;
}

static struct err *choose_bridge(struct network *n)
{
	const char *said = strmap_get(&n->options, OPTION_BRIDGE);

	snprintf(n->bridge, sizeof(n->bridge), "br-%.12s", n->id);
	if (said && (!*said || strlen(said) >= IFNAMSIZ))
		return err_new(ERR_INVALID, "\"%s\" is no name for a bridge", said);
	if (said)
		snprintf(n->bridge, sizeof(n->bridge), "%s", said);
	if (if_nametoindex(n->bridge) || network_by_bridge(n->e, n->bridge) != n)
		return err_new(ERR_EXISTS, "the host has an interface %s already", n->bridge);
	return NULL;
}

static struct err *read_subnet(struct network *n, const char *text)
{
	char want[NET_ADDRESS_TEXT];
	struct net_prefix net;

	TRY_MSG(net_parse_prefix(text, &n->subnet), "invalid subnet");
	net = (struct net_prefix) { n->subnet.address & net_mask(n->subnet.len), n->subnet.len };
	if (net.address != n->subnet.address)
		return err_new(ERR_INVALID, "invalid subnet %s: it should be %s", text,
			       net_prefix_text(&net, want));
	if (net.len < LEN_MIN || net.len > LEN_MAX)
		return err_new(ERR_INVALID, "invalid subnet %s: its length is %d to %d", text,
			       LEN_MIN, LEN_MAX);
	n->subnet.address++;
	return NULL;
}

static struct err *check_overlap(const struct network *n)
{
	const struct network *o;
	struct err *err;

	TAILQ_FOREACH(o, &n->e->networks, link)
	if (o != n && o->subnet.len && net_prefixes_overlap(&o->subnet, &n->subnet))
		return err_new(ERR_DENIED,
			       "invalid pool request: Pool overlaps with other one on this address "
			       "space: network %s has %s",
			       o->name, o->subnet_text);
	err = net_subnet_check(n->bridge, &n->subnet);
	if (err && err_kind(err) == ERR_EXISTS) {
		OWN(err) struct err *why = err;

		return err_new(ERR_DENIED,
			       "invalid pool request: Pool overlaps with other one on this address "
			       "space: %s",
			       err_text(why));
	}
	return err;
}

static bool is_said(const char *text)
{
	return text && *text;
}

/* Hosts that share a link share the range of its addresses: free here is not free there. */
static struct err *check_uplink(const struct network *n, const struct engine_network_wish *w)
{
	const char *uplink = strmap_get(&n->options, OPTION_UPLINK);

	if (!uplink)
		return NULL;
	TRY_MSG(net_uplink_check(uplink, n->bridge), "uplink");
	if (n->is_internal)
		return err_new(ERR_INVALID, "an internal network has no uplink");
	if (!is_said(w->subnet))
		return err_new(ERR_INVALID,
			       "an uplink needs a subnet: that of the link which %s is on", uplink);
	return NULL;
}

static struct err *settle_addresses(struct network *n, const struct engine_network_wish *w)
{
	if (is_said(w->subnet)) {
		TRY(read_subnet(n, w->subnet));
		TRY(check_overlap(n));
	} else if (is_said(w->gateway) || is_said(w->range)) {
		return err_new(ERR_INVALID, "a gateway or a range of addresses needs a subnet");
	} else {
		TRY(choose_subnet(n));
	}
	if (is_said(w->gateway))
		TRY_MSG(net_parse_address(w->gateway, &n->subnet.address),
			"invalid gateway address");
	set_texts(n);
	if (is_said(w->gateway)) {
		struct net_prefix net;

		TRY(net_parse_prefix(is_said(w->subnet) ? w->subnet : n->subnet_text, &net));
		if (!net_prefix_has(&net, n->subnet.address))
			return err_new(ERR_INVALID, "no matching subnet for gateway %s",
				       w->gateway);
	}
	if (!is_said(w->range))
		return NULL;
	TRY_MSG(net_parse_prefix(w->range, &n->range), "invalid ip-range");
	if (n->range.len < n->subnet.len || !net_prefix_has(&n->subnet, n->range.address))
		return err_new(ERR_INVALID, "no matching subnet for range %s", w->range);
	set_texts(n);
	return NULL;
}

static struct err *fill(struct network *n, const struct engine_network_wish *w)
{
	n->is_internal = w->is_internal;
	n->is_attachable = w->is_attachable;
	n->created_ns = clock_wall_ns();
	if (w->labels)
		strmap_copy(&n->labels, w->labels);
	if (w->options)
		strmap_copy(&n->options, w->options);
	TRY(apply_options(n));
	TRY(choose_bridge(n));
	TRY(check_uplink(n, w));
	return settle_addresses(n, w);
}

static void forget(struct network *n)
{
	OWN(mem) char *path = network_file(n->e, n->id);

	unlink(path);
	if (store_begin(n->e->store) == NULL)
		err_free(store_del(n->e->store, STORE_NETWORK, n->id));
	engine_dirty(n->e);
}

/* The row first: a bridge that no row knows would be nobody's. */
static struct err *make(struct network *n)
{
	struct err *err = store_network(n);

	if (!err)
		err = engine_commit(n->e);
	if (!err)
		err = network_ready(n);
	if (!err)
		return NULL;
	unmake(n);
	forget(n);
	return err;
}

struct err *engine_network_create(struct engine *e, const struct engine_network_wish *w,
				  const char **ret_id)
{
	struct network *dflt = network_default(e), *n;
	struct err *err;
	char id[65];

	TRY(check_name(e, w->name ? w->name : ""));
	TRY(check_options(w->options));
	/* It may not be there yet, but its range is to be avoided. */
	if (!dflt->subnet.len) {
		err_free(choose_subnet(dflt));
		set_texts(dflt);
	}
	engine_random_id(id);
	n = network_new(e, id, w->name);
	err = fill(n, w);
	if (!err)
		err = make(n);
	if (err) {
		network_free(n);
		return err;
	}
	network_event(n, "create", NULL);
	*ret_id = n->id;
	return NULL;
}

/* ---- remove ---- */

struct err *engine_network_remove(struct engine *e, const char *ref)
{
	struct network *n;
	struct instance *i;

	TRY(network_find(e, ref, &n));
	if (network_is_default(n))
		return err_new(ERR_DENIED, "%s is a pre-defined network and cannot be removed",
			       n->name);
	TAILQ_FOREACH(i, &e->instances, link)
	if (instance_end_on(i, n->id))
		return err_new(ERR_DENIED,
			       "error while removing network: network %s has active endpoints "
			       "(name:\"%s\" id:\"%.12s\")",
			       n->name, i->spec->name, i->id);
	/* The row last: until it is gone, recovery would make the bridge anew. */
	unmake(n);
	forget(n);
	network_event(n, "destroy", NULL);
	network_free(n);
	return engine_commit(e);
}

/* ---- for the faces ---- */

static struct engine_network shown(const struct network *n)
{
	bool is_chosen = n->subnet.len != 0;

	return (struct engine_network) {
		.id = n->id,
		.name = n->name,
		.bridge = n->bridge,
		.subnet = is_chosen ? n->subnet_text : NULL,
		.gateway = is_chosen ? n->gateway : NULL,
		.range = n->range.len ? n->range_text : NULL,
		.is_internal = n->is_internal,
		.is_attachable = n->is_attachable,
		.labels = &n->labels,
		.options = &n->options,
		.created_ns = n->created_ns,
	};
}

void engine_each_network(struct engine *e, void (*fn)(void *arg, const struct engine_network *n),
			 void *arg)
{
	struct network *n;

	TAILQ_FOREACH(n, &e->networks, link)
	{
		struct engine_network v = shown(n);

		fn(arg, &v);
	}
}

struct err *engine_network_find(struct engine *e, const char *ref, struct engine_network *ret)
{
	struct network *n;

	TRY(network_find(e, ref, &n));
	*ret = shown(n);
	return NULL;
}

/* ---- a new instance's networks ---- */

static struct err *resolve(struct engine *e, struct spec *s)
{
	for (size_t k = 0; k < s->n_endpoints; k++) {
		struct network *n;

		TRY(network_find(e, s->endpoints[k].network, &n));
		str_set(&s->endpoints[k].network, n->id);
		for (size_t o = 0; o < k; o++)
			if (streq(s->endpoints[o].network, n->id))
				return err_new(ERR_INVALID, "network %s is named twice", n->name);
	}
	return NULL;
}

struct err *networks_check_aliases(const struct spec *s)
{
	const struct spec_endpoint *said = spec_endpoint_on(s, NETWORK_DEFAULT);

	if (said && said->aliases.n)
		return err_new(ERR_INVALID,
			       "network-scoped alias is supported only for containers in "
			       "user defined networks");
	return NULL;
}

static void to_front(struct spec *s, const char *network)
{
	struct spec_endpoint *at = spec_endpoint_on(s, network);
	struct spec_endpoint kept;

	if (!at)
		at = spec_endpoint_add(s, network);
	kept = *at;
	memmove(s->endpoints + 1, s->endpoints, (size_t)(at - s->endpoints) * sizeof(*at));
	s->endpoints[0] = kept;
}

struct err *networks_settle(struct engine *e, struct spec *s)
{
	const char *mode = s->network_mode;
	struct network *n;

	if (!spec_has_own_network(s))
		return NULL;
	if (!mode || !*mode || streq(mode, "default"))
		mode = NETWORK_DEFAULT;
	TRY(network_find(e, mode, &n));
	TRY(resolve(e, s));
	to_front(s, n->id);
	TRY(networks_check_aliases(s));
	if (s->ip_address && *s->ip_address && !s->endpoints[0].ip)
		str_set(&s->endpoints[0].ip, s->ip_address);
	if (s->mac_address && *s->mac_address && !s->endpoints[0].mac)
		str_set(&s->endpoints[0].mac, s->mac_address);
	return NULL;
}
