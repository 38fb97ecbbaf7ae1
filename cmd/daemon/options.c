/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/num.h"

#define CONFIG_PATH "/etc/hostel/hosteld.json"

enum source { FROM_DEFAULT, FROM_FILE, FROM_COMMAND_LINE };

static const char *const source_names[] = { "default", "file", "command line" };

enum kind { TEXT, BYTES, MILLI, DURATION, YES_NO };

struct setting {
	const char *name; /* in the file; --NAME with '-' for '_' on the command line */
	enum kind kind;
	size_t offset;
	const char *fallback; /* NULL: none */
	const char *help;
	struct err *(*check)(const char *text); /* beyond its kind; may be NULL */
};

#define S(name_, kind_, member_, fallback_, help_, ...)                                            \
	{                                                                                          \
		.name = (name_), .kind = (kind_), .offset = offsetof(struct options, member_),     \
		.fallback = (fallback_), .help = (help_), __VA_ARGS__                              \
	}

static struct err *read_yes_no(const char *text, int *ret)
{
	if (!streq(text, "yes") && !streq(text, "no") && !streq(text, "true") &&
	    !streq(text, "false"))
		return err_new(ERR_INVALID, "\"%.64s\": expected yes or no", text);
	*ret = streq(text, "yes") || streq(text, "true");
	return NULL;
}

static struct err *check_allocate(const char *text)
{
	return engine_policy_check(text, NULL, 0);
}

static struct err *check_schedule(const char *text)
{
	return engine_policy_check(NULL, text, 0);
}

static struct err *check_quantum(const char *text)
{
	int64_t ns = 0;

	TRY(num_parse_duration(text, &ns));
	return engine_policy_check(NULL, NULL, ns);
}

static struct err *check_time(const char *text)
{
	int64_t ns = 0;

	TRY(num_parse_duration(text, &ns));
	return engine_time_check(ns);
}

static struct err *check_turn(const char *text)
{
	int64_t ns = 0;

	TRY(num_parse_duration(text, &ns));
	return engine_spill_check(false, ns);
}

static struct err *check_spill(const char *text)
{
	int on = 0;

	TRY(read_yes_no(text, &on));
	return engine_spill_check(on, 0);
}

static struct err *check_overcommit(const char *text)
{
	int64_t milli = 0;

	TRY(num_parse_milli(text, &milli));
	return milli < 1000 ? err_new(ERR_INVALID, "expected 1 or more, not %.64s", text) : NULL;
}

static struct err *check_log_level(const char *text)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (size_t n = 0; n < ARRAY_SIZE(names); n++)
		if (streq(text, names[n]))
			return NULL;
	return err_new(ERR_INVALID, "\"%.64s\": expected error, warn, info or debug", text);
}

static const struct setting settings[] = {
	S("root", TEXT, root, "/var/lib/hostel", "images, volumes, instances, the store"),
	S("run", TEXT, run, "/run/hostel", "sockets and locks"),
	S("socket", TEXT, socket, NULL, "where the API listens (RUN/hostel.sock)"),
	S("group", TEXT, group, "hostel", "group that may use the socket (it means root)"),
	S("libexec", TEXT, libexec, HOSTEL_LIBEXEC, "where hostel-shim and hostel-image are"),
	S("bridge", TEXT, bridge, "hostel0", "bridge of the instances"),
	S("subnet", TEXT, subnet, NULL, "its addresses (one that avoids the host's routes)"),
	S("cgroup_parent", TEXT, cgroup_parent, "/hostel", "control group of the instances"),
	S("nft_table", TEXT, nft_table, "hostel", "nftables table of ours"),
	S("memory_total", BYTES, memory_total_bytes, "0", "capacity; 0: the host's"),
	S("cpus_total", MILLI, cpus_total_milli, "0", "capacity; 0: the host's"),
	S("disk_total", BYTES, disk_total_bytes, "0", "capacity; 0: the file system's"),
	S("reserve_memory", BYTES, reserve_memory_bytes, NULL,
	  "kept back for the host, beside manage_memory (max(256m, T/32))"),
	S("manage_memory", BYTES, manage_memory_bytes, "0",
	  "M_total: what hostel itself may use; 0: T/16 within 128m and 4g"),
	S("overcommit_cpu", MILLI, overcommit_cpu_milli, "4", "how often a cpu may be promised",
	  .check = check_overcommit),
	S("event_log", BYTES, event_log_bytes, "64m",
	  "size at which events.log begins anew; 0: none is kept"),
	S("schedule", TEXT, schedule, NULL,
	  "who runs when not all fit the cpus: fcfs, rr, priority, srtf, mlfq or fair (as set by "
	  "hostel policy, or fair)",
	  .check = check_schedule),
	S("quantum", DURATION, quantum_ns, "0", "time slice; 0: as set by hostel policy, or 50ms",
	  .check = check_quantum),
	S("turn", DURATION, turn_ns, "0",
	  "order rr: an allocation lasts so long while others wait; wants spill (0: to its end)",
	  .check = check_turn),
	S("spill", YES_NO, spill, "no",
	  "move the memory of an instance that is descheduled to the disk; not yet possible",
	  .check = check_spill),
	S("age", DURATION, age_ns, NULL,
	  "schedule priority: ready so long is worth one step; 0: nothing (as set by hostel "
	  "policy, "
	  "or 10s)",
	  .check = check_time),
	S("boost", DURATION, boost_ns, NULL,
	  "schedule mlfq: so often all go back to the first level; 0: never (as set by hostel "
	  "policy, or 10s)",
	  .check = check_time),
	S("queue_wait", YES_NO, queue_wait, "no", "label hostel.queue=wait for everyone"),
	S("allocate", TEXT, allocate, NULL,
	  "who is admitted next: ORDER/FILL, sjf/easy (as set by hostel policy, or easy)",
	  .check = check_allocate),
	S("max_wait", DURATION, max_wait_ns, NULL,
	  "nothing passes who waited so long; 0: never (as set by hostel policy, or 10m)"),
	S("hold_timeout", DURATION, hold_timeout_ns, "10s",
	  "how long a start without a client is held"),
	S("registry_certs", TEXT, registry_certs, "/etc/hostel/certs.d:/etc/docker/certs.d",
	  "HOST:PORT/ca.crt, *.cert and *.key of registries"),
	S("registry_insecure", TEXT, registry_insecure, NULL,
	  "HOST:PORT,… whose certificate is not looked at, http if it must be"),
	S("registry_mirror", TEXT, registry_mirror, NULL, "URL to ask instead of docker.io"),
	S("migrate_listen", TEXT, migrate_listen, NULL,
	  "where instances come in: tcp+tls://ADDRESS:PORT or unix:///PATH, ',' between them "
	  "(nowhere)"),
	S("log_level", TEXT, log_level, "info", "error, warn, info or debug",
	  .check = check_log_level),
};
static_assert(ARRAY_SIZE(settings) <= sizeof(((struct options *)NULL)->source),
	      "one source per setting");

static struct err *set_one(struct options *o, const struct setting *s, const char *text)
{
	void *slot = (char *)o + s->offset;

	switch (s->kind) {
	case TEXT:
		str_set(slot, text);
		return NULL;
	case BYTES:
		return num_parse_bytes(text, slot);
	case MILLI:
		return num_parse_milli(text, slot);
	case DURATION:
		return num_parse_duration(text, slot);
	case YES_NO:
		return read_yes_no(text, slot);
	}
	return NULL;
}

static struct err *set(struct options *o, const struct setting *s, const char *text,
		       enum source source)
{
	TRY_MSG(set_one(o, s, text), "%s", s->name);
	if (s->check)
		TRY_MSG(s->check(text), "%s", s->name);
	o->source[s - settings] = (unsigned char)source;
	return NULL;
}

static const struct setting *find(const char *name)
{
	for (size_t n = 0; n < ARRAY_SIZE(settings); n++) {
		const char *a = settings[n].name, *b = name;

		while (*a && (*a == *b || (*a == '_' && *b == '-')))
			a++, b++;
		if (!*a && !*b)
			return &settings[n];
	}
	return NULL;
}

/* ---- file ---- */

static char *value_text(const json_t *value)
{
	if (json_is_string(value))
		return xstrdup(json_string_value(value));
	if (json_is_boolean(value))
		return xstrdup(json_is_true(value) ? "yes" : "no");
	if (json_is_integer(value))
		return xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return json_is_real(value) ? xasprintf("%g", json_real_value(value)) : NULL;
}

static struct err *read_member(struct options *o, const char *key, const json_t *value)
{
	const struct setting *s = find(key);
	OWN(mem) char *text = value_text(value);

	if (!s)
		return err_new(ERR_INVALID, "unknown setting \"%.64s\"", key);
	if (!text)
		return err_new(ERR_INVALID, "%s: expected a string or a number", key);
	return set(o, s, text, FROM_FILE);
}

static struct err *read_file(struct options *o)
{
	const char *path = o->config_path ? o->config_path : CONFIG_PATH;
	OWN(json) json_t *j = NULL;
	const char *key;
	json_t *value;

	if (!o->config_path && access(path, F_OK) < 0)
		return NULL;
	TRY(jx_load(AT_FDCWD, path, &j));
	if (!json_is_object(j))
		return err_new(ERR_INVALID, "%s: expected an object", path);
	json_object_foreach(j, key, value) TRY_MSG(read_member(o, key, value), "%s", path);
	return NULL;
}

/* ---- command line ---- */

static const struct {
	const char *name;
	size_t offset;
	const char *help;
} flags[] = {
	{ "check-config", offsetof(struct options, check_config),
	  "read the settings, say whether they are good, and end" },
	{ "teardown", offsetof(struct options, teardown),
	  "remove the bridge, the nft table and the parent cgroup of these settings, and end" },
	{ "help", offsetof(struct options, help), "this text" },
	{ "version", offsetof(struct options, version), "version, and end" },
	{ "kvm-probe", offsetof(struct options, kvm_probe), NULL },
};

static bool set_flag(struct options *o, const char *name)
{
	for (size_t n = 0; n < ARRAY_SIZE(flags); n++)
		if (streq(flags[n].name, name)) {
			*(bool *)((char *)o + flags[n].offset) = true;
			return true;
		}
	return false;
}

/* One option with its value; @o->config_path is wanted before the file is read. */
static struct err *read_option(struct options *o, const char *name, const char *value)
{
	const struct setting *s = find(name);

	if (streq(name, "config")) {
		str_set(&o->config_path, value);
		return NULL;
	}
	return s ? set(o, s, value, FROM_COMMAND_LINE)
		 : err_new(ERR_INVALID, "unknown option --%.64s (see --help)", name);
}

static struct err *read_arguments(struct options *o, int argc, char **argv)
{
	for (int n = 1; n < argc; n++) {
		OWN(mem) char *name = NULL;
		const char *equals;

		if (strncmp(argv[n], "--", 2))
			return err_new(ERR_INVALID, "unexpected argument \"%.64s\"", argv[n]);
		equals = strchr(argv[n], '=');
		name = equals ? xstrndup(argv[n] + 2, (size_t)(equals - argv[n] - 2))
			      : xstrdup(argv[n] + 2);
		if (!equals && set_flag(o, name))
			continue;
		if (!equals && n + 1 == argc)
			return err_new(ERR_INVALID, "--%.64s needs a value", name);
		TRY(read_option(o, name, equals ? equals + 1 : argv[++n]));
	}
	return NULL;
}

/* ---- all together ---- */

static struct err *read_defaults(struct options *o)
{
	o->reserve_memory_bytes = o->max_wait_ns = o->age_ns = o->boost_ns = -1;
	for (size_t n = 0; n < ARRAY_SIZE(settings); n++)
		if (settings[n].fallback)
			TRY(set(o, &settings[n], settings[n].fallback, FROM_DEFAULT));
	return NULL;
}

static void fill_engine(struct options *o)
{
	if (!o->socket)
		o->socket = xasprintf("%s/hostel.sock", o->run);
	o->engine = (struct engine_config) {
		.root = o->root,
		.run = o->run,
		.libexec = o->libexec,
		.bridge = o->bridge,
		.subnet = o->subnet,
		.cgroup_parent = o->cgroup_parent,
		.nft_table = o->nft_table,
		.memory_total_bytes = o->memory_total_bytes,
		.cpu_total_milli = o->cpus_total_milli,
		.disk_total_bytes = o->disk_total_bytes,
		.event_log_bytes = o->event_log_bytes,
		.reserve_memory_bytes = o->reserve_memory_bytes,
		.manage_memory_bytes = o->manage_memory_bytes,
		.overcommit_cpu_milli = o->overcommit_cpu_milli,
		.schedule = o->schedule,
		.quantum_ns = o->quantum_ns,
		.queue_wait_default = o->queue_wait,
		.hold_timeout_ns = o->hold_timeout_ns,
		.allocate = o->allocate,
		.max_wait_ns = o->max_wait_ns,
		.age_ns = o->age_ns,
		.boost_ns = o->boost_ns,
		.registry_certs = o->registry_certs,
		.registry_insecure = o->registry_insecure,
		.registry_mirror = o->registry_mirror,
		.migrate_listen = o->migrate_listen,
	};
}

static struct err *check_paths(const struct options *o)
{
	const char *const paths[] = { o->root, o->run, o->socket, o->libexec, o->cgroup_parent };

	for (size_t n = 0; n < ARRAY_SIZE(paths); n++)
		if (*paths[n] != '/')
			return err_new(ERR_INVALID, "\"%.64s\": expected an absolute path",
				       paths[n]);
	return NULL;
}

struct err *options_read(struct options *o, int argc, char **argv)
{
	TRY(read_defaults(o));
	/* Twice: it names the file, and it wins over the file. */
	TRY(read_arguments(o, argc, argv));
	TRY(read_file(o));
	TRY(read_arguments(o, argc, argv));
	fill_engine(o);
	return check_paths(o);
}

void options_done(struct options *o)
{
	for (size_t n = 0; n < ARRAY_SIZE(settings); n++)
		if (settings[n].kind == TEXT)
			free(*(char **)(void *)((char *)o + settings[n].offset));
	free(o->config_path);
}

/* ---- showing ---- */

static json_t *shown_value(const struct options *o, const struct setting *s)
{
	const void *slot = (const char *)o + s->offset;

	switch (s->kind) {
	case TEXT: {
		const char *text = *(char *const *)slot;

		return text ? jx_string(text) : json_null();
	}
	case YES_NO:
		return json_boolean(*(const int *)slot);
	case BYTES:
	case MILLI:
	case DURATION:
		break;
	}
	return json_integer(*(const int64_t *)slot);
}

static const char *const units[] = {
	[TEXT] = "", [BYTES] = "bytes", [MILLI] = "thousandths", [DURATION] = "ns", [YES_NO] = "",
};

json_t *options_shown(const struct options *o)
{
	json_t *a = json_array();

	for (size_t n = 0; n < ARRAY_SIZE(settings); n++) {
		json_t *j = json_object();

		jx_set_str(j, "name", settings[n].name);
		json_object_set_new(j, "value", shown_value(o, &settings[n]));
		jx_set_str(j, "source", source_names[o->source[n]]);
		jx_set_str(j, "unit", units[settings[n].kind]);
		json_array_append_new(a, j);
	}
	return a;
}

static const char *const value_names[] = {
	[TEXT] = "TEXT", [BYTES] = "SIZE", [MILLI] = "N", [DURATION] = "TIME", [YES_NO] = "yes|no",
};

void options_help(void)
{
	printf("usage: hosteld [--SETTING VALUE]…\n\nRuns containers and virtual machines; the API "
	       "listens on a unix socket.\n\n  --config FILE              settings as JSON "
	       "(" CONFIG_PATH ")\n");
	for (size_t n = 0; n < ARRAY_SIZE(settings); n++) {
		const struct setting *s = &settings[n];
		char left[64];

		snprintf(left, sizeof(left), "--%s %s", s->name, value_names[s->kind]);
		for (char *p = left; *p; p++)
			if (*p == '_')
				*p = '-';
		printf("  %-26s %s%s%s%s\n", left, s->help, s->fallback ? " (" : "",
		       s->fallback ? s->fallback : "", s->fallback ? ")" : "");
	}
	for (size_t n = 0; n < ARRAY_SIZE(flags); n++)
		if (flags[n].help)
			printf("  --%-24s %s\n", flags[n].name, flags[n].help);
}
