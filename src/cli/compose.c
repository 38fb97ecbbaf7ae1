/* SPDX-License-Identifier: Apache-2.0 */
/* A project's services as create bodies: what docker compose would send of them. */
#include "cli/compose.h"

#include <inttypes.h>

#include "cli/opt.h"
#include "util/mem.h"
#include "util/num.h"

#define INSTANCES_MAX 1000 /* services too, and replicas of each */

/* ---- values ---- */

typedef struct err *convert_fn(const json_t *v, json_t **ret);

static struct err *as_text(const json_t *v, json_t **ret)
{
	if (!json_is_string(v))
		return err_new(ERR_INVALID, "expected a text");
	*ret = jx_string(json_string_value(v));
	return NULL;
}

static struct err *as_integer(const json_t *v, json_t **ret)
{
	int64_t n = json_integer_value(v);

	if (json_is_string(v))
		TRY(num_parse_i64(json_string_value(v), INT64_MIN, INT64_MAX, &n));
	else if (!json_is_integer(v))
		return err_new(ERR_INVALID, "expected a whole number");
	*ret = json_integer(n);
	return NULL;
}

/* docker compose writes sizes as texts. -1: no limit */
static struct err *as_bytes(const json_t *v, json_t **ret)
{
	int64_t n = 0;

	if (!json_is_string(v) || streq(json_string_value(v), "-1"))
		return as_integer(v, ret);
	TRY(num_parse_bytes(json_string_value(v), &n));
	*ret = json_integer(n);
	return NULL;
}

static struct err *as_nano_cpus(const json_t *v, json_t **ret)
{
	int64_t milli = 0;

	if (json_is_string(v)) {
		TRY(num_parse_milli(json_string_value(v), &milli));
	} else if (!json_is_number(v) || json_number_value(v) < 0 || json_number_value(v) > 1e6) {
		return err_new(ERR_INVALID, "expected a number of cpus like 0.5 or 2");
	} else {
		milli = (int64_t)(json_number_value(v) * 1000 + 0.5);
	}
	*ret = json_integer(milli * 1000000);
	return NULL;
}

/* A line is one word here: docker compose has cut it already. */
static struct err *as_words(const json_t *v, json_t **ret)
{
	size_t n;
	const json_t *word;

	if (json_is_string(v)) {
		*ret = json_pack("[s]", json_string_value(v));
		return NULL;
	}
	json_array_foreach(v, n, word) if (!json_is_string(word)) return err_new(
	    ERR_INVALID, "expected an array of texts");
	if (!json_is_array(v))
		return err_new(ERR_INVALID, "expected a text or an array of texts");
	*ret = json_deep_copy(v);
	return NULL;
}

static char *plain_text(const json_t *v)
{
	return json_is_string(v) ? xstrdup(json_string_value(v))
	       : json_is_null(v) ? xstrdup("")
				 : json_dumps(v, JSON_ENCODE_ANY);
}

/* {"a":"b"}, or ["a=b"] */
static struct err *as_map(const json_t *v, json_t **ret)
{
	json_t *map = json_object(), *value;
	const char *key;
	size_t n;

	json_object_foreach((json_t *)(uintptr_t)v, key, value)
	{
		OWN(mem) char *text = plain_text(value);

		jx_set_str(map, key, text);
	}
	json_array_foreach(v, n, value)
	{
		const char *pair = json_is_string(value) ? json_string_value(value) : "";
		OWN(mem) char *name = xstrndup(pair, strcspn(pair, "="));

		jx_set_str(map, name, pair[strlen(name)] ? pair + strlen(name) + 1 : "");
	}
	*ret = map;
	if (json_is_object(v) || json_is_array(v))
		return NULL;
	json_decref(TAKE(*ret));
	return err_new(ERR_INVALID, "expected an object");
}

/* [{"count": 1 or "all", "device_ids": […], "capabilities": [["gpu"]]}] */
static struct err *as_device_requests(const json_t *v, json_t **ret)
{
	const json_t *d;
	json_t *all;
	size_t n;

	if (!json_is_array(v))
		return err_new(ERR_INVALID, "expected an array");
	all = json_array();
	json_array_foreach(v, n, d)
	{
		json_t *r = json_object();
		const json_t *count = json_object_get(d, "count"),
			     *ids = json_object_get(d, "device_ids");

		json_object_set_new(
		    r, "Count",
		    json_integer(json_is_string(count) ? -1 : json_integer_value(count)));
		if (ids)
			json_object_set_new(r, "DeviceIDs", json_deep_copy(ids));
		json_array_append_new(all, r);
	}
	*ret = all;
	return NULL;
}

/* ---- services ---- */

/* In the order in which docker compose heeds them: a later one wins. */
static const struct {
	const char *from, *to;
	convert_fn *convert;
} members[] = {
	{ "image", "Image", as_text },
	{ "command", "Cmd", as_words },
	{ "entrypoint", "Entrypoint", as_words },
	{ "labels", "Labels", as_map },
	{ "mem_limit", "HostConfig.Memory", as_bytes },
	{ "mem_reservation", "HostConfig.MemoryReservation", as_bytes },
	{ "memswap_limit", "HostConfig.MemorySwap", as_bytes },
	{ "mem_swappiness", "HostConfig.MemorySwappiness", as_integer },
	{ "cpus", "HostConfig.NanoCpus", as_nano_cpus },
	{ "cpu_quota", "HostConfig.CpuQuota", as_integer },
	{ "cpu_period", "HostConfig.CpuPeriod", as_integer },
	{ "cpu_shares", "HostConfig.CpuShares", as_integer },
	{ "cpuset", "HostConfig.CpusetCpus", as_text },
	{ "pids_limit", "HostConfig.PidsLimit", as_integer },
	{ "shm_size", "HostConfig.ShmSize", as_bytes },
	{ "storage_opt", "HostConfig.StorageOpt", as_map },
	{ "runtime", "HostConfig.Runtime", as_text },
	{ "isolation", "HostConfig.Isolation", as_text },
	{ "gpus", "HostConfig.DeviceRequests", as_device_requests },
	{ "deploy.resources.limits.memory", "HostConfig.Memory", as_bytes },
	{ "deploy.resources.limits.cpus", "HostConfig.NanoCpus", as_nano_cpus },
	{ "deploy.resources.limits.pids", "HostConfig.PidsLimit", as_integer },
	{ "deploy.resources.reservations.memory", "HostConfig.MemoryReservation", as_bytes },
	{ "deploy.resources.reservations.devices", "HostConfig.DeviceRequests",
	  as_device_requests },
};

/* The value at "a.b.c", or NULL. */
static const json_t *value_at(const json_t *j, const char *path)
{
	while (j && *path) {
		size_t len = strcspn(path, ".");

		j = json_object_getn(j, path, len);
		path += len + (path[len] == '.');
	}
	return json_is_null(j) ? NULL : j;
}

static struct err *read_body(const char *project, const char *name, const json_t *service,
			     json_t *body)
{
	for (size_t n = 0; n < ARRAY_SIZE(members); n++) {
		const json_t *v = value_at(service, members[n].from);
		json_t *to = NULL;

		if (!v)
			continue;
		TRY_MSG(members[n].convert(v, &to), "%s", members[n].from);
		opt_set(body, members[n].to, to);
	}
	/* What it builds, docker compose names so. */
	if (!jx_str(body, "Image", NULL))
		json_object_set_new(body, "Image", json_sprintf("%s-%s", project, name));
	return NULL;
}

static struct err *read_replicas(const json_t *service, int64_t *ret)
{
	static const char *const places[] = { "scale", "deploy.replicas" };
	OWN(json) json_t *n = NULL;

	*ret = 1;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const json_t *v = value_at(service, places[i]);

		if (!v)
			continue;
		TRY_MSG(as_integer(v, &n), "%s", places[i]);
		*ret = json_integer_value(n);
		if (*ret < 0 || *ret > INSTANCES_MAX)
			return err_new(ERR_INVALID, "%s: 0 to %d", places[i], INSTANCES_MAX);
		break;
	}
	return NULL;
}

static void note(struct strv *notes, const char *name, const json_t *service)
{
	static const char cpus[] = "deploy.resources.reservations.cpus";

	if (value_at(service, cpus))
		strv_addf(notes,
			  "service %s: %s counts for nothing: docker compose does not pass it on; "
			  "deploy.resources.limits.cpus does",
			  name, cpus);
}

static struct err *add_service(const char *project, const char *name, const json_t *service,
			       json_t *out)
{
	const char *own = jx_str(service, "container_name", NULL);
	OWN(json) json_t *body = json_object();
	int64_t replicas;

	TRY(read_body(project, name, service, body));
	TRY(read_replicas(service, &replicas));
	if ((int64_t)json_array_size(out) + replicas > INSTANCES_MAX)
		return err_new(ERR_INVALID, "with its replicas there are more than %d instances",
			       INSTANCES_MAX);
	for (int64_t n = 1; n <= replicas; n++) {
		OWN(mem)
		char *shown = replicas == 1 ? xstrdup(own ? own : name)
					    : xasprintf("%s-%" PRId64, own ? own : name, n);

		json_array_append_new(
		    out, json_pack("{s:o, s:O}", "Name", jx_string(shown), "Body", body));
	}
	return NULL;
}

/* ---- the project ---- */

struct project {
	const char *name;
	const json_t *services;
	json_t *done; /* names of those added, or begun */
	json_t *out;
	struct strv *notes;
};

static struct err *visit(struct project *p, const char *name);

/* {"db": {…}} or ["db"] */
static struct err *visit_needed(struct project *p, const json_t *needed)
{
	const char *key;
	json_t *v;
	size_t n;

	json_object_foreach((json_t *)(uintptr_t)needed, key, v) TRY(visit(p, key));
	json_array_foreach(needed, n, v) if (json_is_string(v)) TRY(visit(p, json_string_value(v)));
	return NULL;
}

static struct err *visit(struct project *p, const char *name)
{
	const json_t *service = json_object_get(p->services, name);

	if (!service || json_object_get(p->done, name))
		return NULL; /* of a profile that is not asked for; or there already */
	json_object_set_new(p->done, name, json_true());
	if (!json_is_object(service))
		return err_new(ERR_INVALID, "service %s: expected an object", name);
	TRY(visit_needed(p, json_object_get(service, "depends_on")));
	TRY_MSG(add_service(p->name, name, service, p->out), "service %s", name);
	note(p->notes, name, service);
	return NULL;
}

struct err *compose_instances(const json_t *doc, json_t **ret, struct strv *ret_notes)
{
	OWN(json) json_t *done = json_object(), *out = json_array();
	struct project p = { .name = jx_str(doc, "name", "project"),
			     .services = json_object_get(doc, "services"),
			     .done = done,
			     .out = out,
			     .notes = ret_notes };
	const char *name;
	json_t *service;

	if (!json_is_object(p.services))
		return err_new(ERR_INVALID, "it has no services: expected what docker compose "
					    "config --format json prints");
	if (json_object_size(p.services) > INSTANCES_MAX)
		return err_new(ERR_INVALID, "%d services at most", INSTANCES_MAX);
	json_object_foreach((json_t *)(uintptr_t)p.services, name, service) TRY(visit(&p, name));
	*ret = json_incref(out);
	return NULL;
}
