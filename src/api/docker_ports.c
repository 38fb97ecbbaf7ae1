/* SPDX-License-Identifier: Apache-2.0 */
#include "api/docker_spec.h"

#include "util/mem.h"
#include "util/num.h"

/* "8080" or "8080-8090"; "" is 0 to 0: any. */
static struct err *read_range(const char *text, int64_t min, int *ret_first, int *ret_last)
{
	OWN(mem) char *first = xstrndup(text, strcspn(text, "-"));
	const char *rest = text + strlen(first);
	int64_t a = 0, b;

	if (*text)
		TRY(num_parse_i64(first, min, 65535, &a));
	b = a;
	if (*rest)
		TRY(num_parse_i64(rest + 1, a, 65535, &b));
	*ret_first = (int)a;
	*ret_last = (int)b;
	return NULL;
}

/* "80", "80/tcp", "80-90/udp". */
static struct err *read_port_key(const char *key, int *ret_first, int *ret_last, char **ret_proto)
{
	OWN(mem) char *range = xstrndup(key, strcspn(key, "/"));
	const char *proto = key[strlen(range)] ? key + strlen(range) + 1 : "tcp";

	if (strcmp(proto, "tcp") && strcmp(proto, "udp"))
		return err_new(ERR_INVALID, "invalid port specification: \"%s\": only tcp and udp",
			       key);
	TRY_MSG(read_range(range, 1, ret_first, ret_last), "invalid port specification: \"%s\"",
		key);
	if (!*ret_first)
		return err_new(ERR_INVALID, "invalid port specification: \"%s\"", key);
	*ret_proto = xstrdup(proto);
	return NULL;
}

struct err *docker_exposed_read(const json_t *j, void *slot)
{
	OWN(strv) struct strv out = { 0 };
	const char *key;
	json_t *v;

	if (!json_is_object(j))
		return err_new(ERR_INVALID, "expected an object");
	json_object_foreach((json_t *)(uintptr_t)j, key, v)
	{
		OWN(mem) char *proto = NULL;
		int first, last;

		TRY(read_port_key(key, &first, &last, &proto));
		for (int port = first; port <= last; port++)
			strv_addf(&out, "%d/%s", port, proto);
	}
	strv_done(slot);
	*(struct strv *)slot = out;
	out = (struct strv) { 0 };
	return NULL;
}

json_t *docker_exposed_write(const void *slot)
{
	const struct strv *l = slot;
	json_t *o = json_object();

	for (size_t i = 0; i < l->n; i++)
		json_object_set_new(o, l->v[i], json_object());
	return o;
}

static struct err *add_port(struct spec *s, const char *key, const json_t *binding)
{
	OWN(mem) char *proto = NULL;
	struct spec_port p = { 0 };
	int last;

	TRY(read_port_key(key, &p.container_port, &last, &proto));
	if (last != p.container_port)
		return err_new(ERR_INVALID, "invalid port specification: \"%s\"", key);
	TRY_MSG(read_range(jx_str(binding, "HostPort", ""), 0, &p.host_port, &p.host_port_end),
		"invalid host port of \"%s\"", key);
	if (p.host_port_end == p.host_port)
		p.host_port_end = 0;
	p.host_ip = xstrdup(*jx_str(binding, "HostIp", "") ? jx_str(binding, "HostIp", "") : NULL);
	p.protocol = TAKE(proto);
	s->ports = xrealloc(s->ports, s->n_ports + 1, sizeof(*s->ports));
	s->ports[s->n_ports++] = p;
	return NULL;
}

static void expose(struct spec *s, const char *key)
{
	OWN(mem) char *full = xasprintf("%s%s", key, strchr(key, '/') ? "" : "/tcp");

	if (!strv_has(&s->exposed, full))
		strv_add(&s->exposed, full);
}

struct err *docker_port_bindings_read(const json_t *j, void *slot)
{
	struct spec *s = container_of(slot, struct spec, ports);
	const char *key;
	json_t *list;

	if (!json_is_object(j))
		return err_new(ERR_INVALID, "expected an object");
	json_object_foreach((json_t *)(uintptr_t)j, key, list)
	{
		for (size_t i = 0; i < json_array_size(list); i++)
			TRY(add_port(s, key, json_array_get(list, i)));
		if (json_array_size(list) == 0)
			TRY(add_port(s, key, NULL));
		expose(s, key);
	}
	return NULL;
}

static json_t *host_port_text(const struct spec_port *p)
{
	OWN(mem) char *text = NULL;

	if (!p->host_port)
		return json_string("");
	text = p->host_port_end ? xasprintf("%d-%d", p->host_port, p->host_port_end)
				: xasprintf("%d", p->host_port);
	return json_string(text);
}

json_t *docker_ports_map(const struct spec_port *ports, size_t n, const struct strv *exposed)
{
	json_t *o = json_object();

	for (size_t i = 0; exposed && i < exposed->n; i++)
		json_object_set_new(o, exposed->v[i], json_null());
	for (size_t i = 0; i < n; i++) {
		const struct spec_port *p = &ports[i];
		OWN(mem) char *key = xasprintf("%d/%s", p->container_port, p->protocol);
		json_t *list = json_object_get(o, key);

		if (!json_is_array(list)) {
			list = json_array();
			json_object_set_new(o, key, list);
		}
		json_array_append_new(list, json_pack("{s:s, s:o}", "HostIp",
						      p->host_ip ? p->host_ip : "", "HostPort",
						      host_port_text(p)));
	}
	return o;
}

json_t *docker_port_bindings_write(const void *slot)
{
	const struct spec *s = SPEC_OF(slot, ports);

	return docker_ports_map(s->ports, s->n_ports, NULL);
}
