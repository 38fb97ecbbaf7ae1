/* SPDX-License-Identifier: Apache-2.0 */
/* Networks: the engine's, and Docker's host and none, which are no networks of ours. */
#include "api/api_int.h"

#include "api/docker_spec.h"
#include "json/fields.h"
#include "util/clock.h"
#include "util/mem.h"

#define DEFAULT_NETWORK "bridge"

static const struct {
	const char *name, *driver;
} pseudo[] = { { "host", "host" }, { "none", "null" } };

/* ---- documents ---- */

struct membership {
	const char *id;
	json_t *out;
};

static bool add_member(void *arg, struct instance *i)
{
	struct membership *m = arg;
	struct instance_view v = instance_view(i);
	char id[65];

	for (size_t k = 0; k < v.n_endpoints; k++) {
		const struct engine_endpoint *end = &v.endpoints[k];

		if (!end->address || !streq(end->network_id, m->id))
			continue;
		OWN(mem) char *cidr = xasprintf("%s/%d", end->address, end->prefix_len);

		json_object_set_new(m->out, v.id,
				    json_pack("{s:s, s:s, s:s, s:s, s:s}", "Name", v.spec->name,
					      "EndpointID", docker_endpoint_id(&v, k, id),
					      "MacAddress", end->mac ? end->mac : "", "IPv4Address",
					      cidr, "IPv6Address", ""));
	}
	return true;
}

static json_t *ipam(const struct engine_network *n)
{
	json_t *list = json_array(), *one;

	if (n->subnet) {
		one = json_pack("{s:s, s:s}", "Subnet", n->subnet, "Gateway", n->gateway);
		if (n->range)
			jx_set_str(one, "IPRange", n->range);
		json_array_append_new(list, one);
	}
	return json_pack("{s:s, s:{}, s:o}", "Driver", "default", "Options", "Config", list);
}

static json_t *document(const char *name, const char *id, const char *driver, const char *created,
			json_t *ipam_object)
{
	return json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:b, s:b, s:b, s:{s:s}, s:b, s:{},"
	    " s:{}, s:{}}",
	    "Name", name, "Id", id, "Created", created, "Scope", "local", "Driver", driver,
	    "EnableIPv4", 1, "EnableIPv6", 0, "IPAM", ipam_object, "Internal", 0, "Attachable", 0,
	    "Ingress", 0, "ConfigFrom", "Network", "", "ConfigOnly", 0, "Containers", "Options",
	    "Labels");
}

static json_t *pseudo_document(size_t k)
{
	const struct engine_network none = { .id = NULL };
	char id[65];

	return document(pseudo[k].name, docker_network_id(pseudo[k].name, id), pseudo[k].driver,
			"2026-01-01T00:00:00Z", ipam(&none));
}

static json_t *members_of(struct call *c, const struct engine_network *n)
{
	struct membership m = { .id = n->id, .out = json_object() };

	engine_each(c->api->engine, add_member, &m);
	return m.out;
}

static json_t *network_document(const struct engine_network *n)
{
	char id[65], when[40];
	json_t *j, *options = jx_from_map(n->options);

	j = document(n->name, docker_network_id(n->id, id), "bridge",
		     n->created_ns ? clock_rfc3339(n->created_ns, when) : "2026-01-01T00:00:00Z",
		     ipam(n));
	json_object_set_new(j, "Internal", json_boolean(n->is_internal));
	json_object_set_new(j, "Attachable", json_boolean(n->is_attachable));
	json_object_set_new(j, "Labels", jx_from_map(n->labels));
	if (streq(n->id, DEFAULT_NETWORK))
		jx_set_str(options, "com.docker.network.bridge.name", n->bridge);
	json_object_set_new(j, "Options", options);
	return j;
}

/* ---- which one ---- */

#define SHORT_ID 12 /* a shorter one may be a name */

static bool begins(const char *id, const char *ref)
{
	return *ref && !strncmp(id, ref, strlen(ref));
}

static bool is_id(const char *id, const char *ref)
{
	return strlen(ref) >= SHORT_ID && begins(id, ref);
}

/* The engine calls the default one by its name, Docker's clients by its id too. */
static const char *engine_ref(const char *ref)
{
	char id[65];

	return is_id(docker_network_id(DEFAULT_NETWORK, id), ref) ? DEFAULT_NETWORK : ref;
}

static bool is_pseudo(const char *ref, size_t *ret)
{
	char id[65];

	for (size_t k = 0; k < ARRAY_SIZE(pseudo); k++)
		if (streq(pseudo[k].name, ref) ||
		    is_id(docker_network_id(pseudo[k].name, id), ref)) {
			*ret = k;
			return true;
		}
	return false;
}

/* ---- list ---- */

struct net_listing {
	struct call *call;
	struct docker_filters filters;
	json_t *out;
};

static bool name_has(const void *thing, const char *value)
{
	return strstr(thing, value) != NULL;
}

static bool id_begins(const void *thing, const char *value)
{
	return begins(thing, value);
}

static bool passes(const struct docker_filters *f, const json_t *doc, const char *type,
		   bool is_dangling)
{
	const char *dangling = docker_filter_first(f, "dangling"), *key;
	struct strmap labels = { 0 };
	json_t *value;
	bool match;

	json_object_foreach(json_object_get(doc, "Labels"), key, value)
	    strmap_set(&labels, key, json_string_value(value));
	match = docker_filter_labels(f, &labels);
	strmap_done(&labels);
	if (dangling && docker_bool(dangling) != is_dangling)
		return false;
	return match && docker_filter_match(f, "name", name_has, jx_str(doc, "Name", "")) &&
	       docker_filter_match(f, "id", id_begins, jx_str(doc, "Id", "")) &&
	       docker_filter_exact(f, "driver", jx_str(doc, "Driver", "")) &&
	       docker_filter_exact(f, "type", type) && docker_filter_exact(f, "scope", "local");
}

static void list_one(void *arg, const struct engine_network *n)
{
	struct net_listing *l = arg;
	OWN(json) json_t *doc = network_document(n);
	OWN(json) json_t *members = members_of(l->call, n);
	bool is_builtin = streq(n->id, DEFAULT_NETWORK);

	if (passes(&l->filters, doc, is_builtin ? "builtin" : "custom",
		   !is_builtin && !json_object_size(members)))
		json_array_append(l->out, doc);
}

struct err *net_list(struct call *c)
{
	static const char *const allowed[] = { "dangling", "driver", "id",   "label", "label!",
					       "name",     "scope",  "type", NULL };
	OWN(filters) struct docker_filters f = { 0 };
	struct net_listing l = { .call = c };

	TRY(docker_filters_read(call_query(c, "filters"), allowed, &f));
	l.filters = f;
	l.out = json_array();
	engine_each_network(c->api->engine, list_one, &l);
	for (size_t k = 0; k < ARRAY_SIZE(pseudo); k++) {
		OWN(json) json_t *doc = pseudo_document(k);

		if (passes(&f, doc, "builtin", false))
			json_array_append(l.out, doc);
	}
	call_json(c, 200, l.out);
	return NULL;
}

struct err *net_inspect(struct call *c)
{
	const char *ref = call_param(c, "id");
	struct engine_network n;
	json_t *doc;
	size_t k;

	if (is_pseudo(ref, &k)) {
		call_json(c, 200, pseudo_document(k));
		return NULL;
	}
	TRY(engine_network_find(c->api->engine, engine_ref(ref), &n));
	doc = network_document(&n);
	json_object_set_new(doc, "Containers", members_of(c, &n));
	call_json(c, 200, doc);
	return NULL;
}

/* ---- create ---- */

struct pool {
	char *subnet, *range, *gateway;
	struct strmap aux;
};

struct net_body {
	char *name, *driver, *scope, *ipam_driver;
	bool is_internal, is_attachable, is_ingress, is_config, has_v6, no_v4;
	struct strmap options, labels;
	struct pool *pools;
	size_t n_pools;
};

static const struct json_field pool_fields[] = {
	JSON_FIELD(struct pool, "Subnet", JF_STR, subnet),
	JSON_FIELD(struct pool, "IPRange", JF_STR, range),
	JSON_FIELD(struct pool, "Gateway", JF_STR, gateway),
	JSON_FIELD(struct pool, "AuxiliaryAddresses", JF_MAP, aux),
};

static const struct json_field ipam_fields[] = {
	JSON_FIELD(struct net_body, "Driver", JF_STR, ipam_driver),
	JSON_ARRAY(struct net_body, "Config", pools, n_pools, pool_fields),
};

static const struct json_field net_fields[] = {
	JSON_FIELD(struct net_body, "Name", JF_STR, name),
	JSON_FIELD(struct net_body, "Driver", JF_STR, driver),
	JSON_FIELD(struct net_body, "Scope", JF_STR, scope),
	JSON_FIELD(struct net_body, "Internal", JF_BOOL, is_internal),
	JSON_FIELD(struct net_body, "Attachable", JF_BOOL, is_attachable),
	JSON_FIELD(struct net_body, "Ingress", JF_BOOL, is_ingress),
	JSON_FIELD(struct net_body, "ConfigOnly", JF_BOOL, is_config),
	JSON_FIELD(struct net_body, "EnableIPv6", JF_BOOL, has_v6),
	JSON_FIELD(struct net_body, "Options", JF_MAP, options),
	JSON_FIELD(struct net_body, "Labels", JF_MAP, labels),
};

static void own_net_body_release(struct net_body *b)
{
	json_free_fields(net_fields, ARRAY_SIZE(net_fields), b);
	json_free_fields(ipam_fields, ARRAY_SIZE(ipam_fields), b);
}

static bool is_said(const char *text, const char *fine)
{
	return text && *text && strcmp(text, fine);
}

static struct err *check_driver(const char *driver)
{
	for (size_t k = 0; k < ARRAY_SIZE(pseudo); k++)
		if (streq(driver, pseudo[k].driver))
			return err_new(ERR_DENIED, "only one instance of \"%s\" network is allowed",
				       driver);
	return err_new(ERR_NOT_FOUND, "plugin \"%s\" not found: hostel has the driver bridge",
		       driver);
}

/* What hostel does not have and must not pretend to. */
static struct err *refuse_unsupported(const struct net_body *b)
{
	const struct {
		bool asked;
		const char *what;
	} refused[] = {
		{ b->has_v6, "EnableIPv6" },
		{ b->no_v4, "EnableIPv4 of false" },
		{ b->is_ingress, "Ingress" },
		{ b->is_config, "ConfigOnly" },
		{ is_said(b->scope, "local"), "Scope other than local" },
		{ is_said(b->ipam_driver, "default"), "IPAM driver other than default" },
		{ b->n_pools && b->pools[0].aux.n, "IPAM.Config.AuxiliaryAddresses" },
		{ b->n_pools && b->pools[0].subnet && strchr(b->pools[0].subnet, ':'),
		  "IPv6 subnet" },
	};

	for (size_t k = 0; k < ARRAY_SIZE(refused); k++)
		if (refused[k].asked)
			return err_new(ERR_UNSUPPORTED,
				       "%s of a network is not supported by hostel",
				       refused[k].what);
	return b->n_pools > 1
		   ? err_new(ERR_INVALID, "a network has one subnet, not %zu", b->n_pools)
		   : NULL;
}

static struct err *read_body(const json_t *body, struct net_body *b)
{
	const json_t *v4 = json_object_get(body, "EnableIPv4");
	const json_t *wanted = json_object_get(body, "IPAM");

	if (!body)
		return err_new(ERR_INVALID, "a network must be described");
	TRY(json_read_fields(net_fields, ARRAY_SIZE(net_fields), body, b));
	if (json_is_object(wanted))
		TRY_MSG(json_read_fields(ipam_fields, ARRAY_SIZE(ipam_fields), wanted, b), "IPAM");
	b->no_v4 = json_is_false(v4);
	if (is_said(jx_str(json_object_get(body, "ConfigFrom"), "Network", ""), ""))
		b->is_config = true;
	if (is_said(b->driver, "bridge") && strcmp(b->driver, "default"))
		TRY(check_driver(b->driver));
	return refuse_unsupported(b);
}

struct err *net_create(struct call *c)
{
	OWN(net_body) struct net_body b = { 0 };
	struct pool none = { 0 }, *pool = &none;
	const char *id;

	TRY(read_body(c->body, &b));
	if (b.n_pools)
		pool = &b.pools[0];
	TRY(engine_network_create(c->api->engine,
				  &(struct engine_network_wish) {
				      .name = b.name,
				      .subnet = pool->subnet,
				      .gateway = pool->gateway,
				      .range = pool->range,
				      .is_internal = b.is_internal,
				      .is_attachable = b.is_attachable,
				      .labels = &b.labels,
				      .options = &b.options,
				  },
				  &id));
	call_json(c, 201, json_pack("{s:s, s:s}", "Id", id, "Warning", ""));
	return NULL;
}

/* ---- remove, prune ---- */

struct err *net_remove(struct call *c)
{
	const char *ref = call_param(c, "id");
	size_t k;

	if (is_pseudo(ref, &k))
		return err_new(ERR_DENIED, "%s is a pre-defined network and cannot be removed",
			       pseudo[k].name);
	TRY(engine_network_remove(c->api->engine, engine_ref(ref)));
	call_empty(c, 204);
	return NULL;
}

struct net_pruning {
	struct docker_filters filters;
	int64_t until_ns;
	struct strv ids, names;
};

static void prune_look(void *arg, const struct engine_network *n)
{
	struct net_pruning *p = arg;

	if (streq(n->id, DEFAULT_NETWORK) || (p->until_ns && n->created_ns >= p->until_ns) ||
	    !docker_filter_labels(&p->filters, n->labels))
		return;
	strv_add(&p->ids, n->id);
	strv_add(&p->names, n->name);
}

struct err *net_prune(struct call *c)
{
	static const char *const allowed[] = { "label", "label!", "until", NULL };
	OWN(filters) struct docker_filters f = { 0 };
	struct net_pruning p = { .until_ns = 0 };
	json_t *deleted;
	const char *until;

	TRY(docker_filters_read(call_query(c, "filters"), allowed, &f));
	until = docker_filter_first(&f, "until");
	if (until)
		TRY(docker_time_read(until, clock_wall_ns(), &p.until_ns));
	p.filters = f;
	engine_each_network(c->api->engine, prune_look, &p);
	deleted = json_array();
	for (size_t k = 0; k < p.ids.n; k++) {
		OWN(err) struct err *used = engine_network_remove(c->api->engine, p.ids.v[k]);

		if (!used)
			json_array_append_new(deleted, jx_string(p.names.v[k]));
	}
	strv_done(&p.ids);
	strv_done(&p.names);
	call_json(c, 200, json_pack("{s:o}", "NetworksDeleted", deleted));
	return NULL;
}

/* ---- connect, disconnect ---- */

static struct err *find_both(struct call *c, struct instance **ret)
{
	size_t k;

	TRY(engine_find(c->api->engine, jx_str(c->body, "Container", ""), ret));
	if (is_pseudo(call_param(c, "id"), &k))
		return err_new(
		    ERR_DENIED,
		    "container cannot be disconnected from %s network or connected to it",
		    pseudo[k].name);
	return NULL;
}

struct err *net_connect(struct call *c)
{
	struct spec_endpoint how = { 0 };
	struct instance *i;
	struct err *e;

	TRY(find_both(c, &i));
	e = docker_endpoint_read(json_object_get(c->body, "EndpointConfig"), &how);
	if (!e)
		e = engine_network_connect(c->api->engine, engine_ref(call_param(c, "id")), i,
					   &how);
	docker_endpoint_done(&how);
	TRY(e);
	call_empty(c, 200);
	return NULL;
}

struct err *net_disconnect(struct call *c)
{
	struct instance *i;

	TRY(find_both(c, &i));
	TRY(engine_network_disconnect(c->api->engine, engine_ref(call_param(c, "id")), i));
	call_empty(c, 200);
	return NULL;
}
