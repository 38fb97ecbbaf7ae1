/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "ctr/plan_int.h"
#include "util/mem.h"

struct rule {
	bool allow;
	char type;
	int major, minor; /* -1: any */
	const char *access;
};

/* Docker's and runc's defaults together: make any node, use the harmless ones. */
static const struct rule rules[] = {
	{ false, 'a', -1, -1, "rwm" }, { true, 'c', -1, -1, "m" }, { true, 'b', -1, -1, "m" },
	{ true, 'c', 1, 3, "rwm" },    { true, 'c', 1, 5, "rwm" }, { true, 'c', 1, 7, "rwm" },
	{ true, 'c', 1, 8, "rwm" },    { true, 'c', 1, 9, "rwm" }, { true, 'c', 5, 0, "rwm" },
	{ true, 'c', 5, 1, "rwm" },    { true, 'c', 5, 2, "rwm" }, { true, 'c', 136, -1, "rwm" },
};

static json_t *rule_json(const struct rule *r)
{
	char type[2] = { r->type, '\0' };
	json_t *j =
	    json_pack("{s:b, s:s, s:s}", "allow", r->allow, "type", type, "access", r->access);

	if (r->major >= 0)
		json_object_set_new(j, "major", json_integer(r->major));
	if (r->minor >= 0)
		json_object_set_new(j, "minor", json_integer(r->minor));
	return j;
}

static struct err *rule_number(const char *text, int *ret)
{
	char extra;

	if (streq(text, "*")) {
		*ret = -1;
		return NULL;
	}
	if (sscanf(text, "%d%c", ret, &extra) != 1 || *ret < 0)
		return err_new(ERR_INVALID, "bad number %s", text);
	return NULL;
}

/* "c 1:3 rwm", "a *:* rwm" */
static struct err *parse_rule(const char *text, json_t **ret)
{
	char type, major[16], minor[16], access[4], extra;
	struct rule r = { .allow = true, .access = access };

	if (sscanf(text, "%c %15[0-9*]:%15[0-9*] %3[rwm]%c", &type, major, minor, access, &extra) !=
		4 ||
	    !strchr("abc", type))
		return err_new(ERR_INVALID, "invalid device cgroup rule format: '%s'", text);
	TRY_MSG(rule_number(major, &r.major), "device cgroup rule '%s'", text);
	TRY_MSG(rule_number(minor, &r.minor), "device cgroup rule '%s'", text);
	r.type = type;
	*ret = rule_json(&r);
	return NULL;
}

static void add_node(json_t *devices, const char *path, const struct stat *st)
{
	json_array_append_new(devices,
			      json_pack("{s:s, s:s, s:i, s:i, s:i, s:I, s:I}", "path", path, "type",
					S_ISBLK(st->st_mode) ? "b" : "c", "major",
					(int)major(st->st_rdev), "minor", (int)minor(st->st_rdev),
					"fileMode", (int)(st->st_mode & 07777), "uid",
					(json_int_t)st->st_uid, "gid", (json_int_t)st->st_gid));
}

static bool is_node(const struct stat *st)
{
	return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

/* All nodes below a host's folder, as --device /dev/snd and --privileged want them. */
static void add_folder(json_t *devices, json_t *rules_json, const char *host, const char *inside,
		       const char *access)
{
	static const char *const skip[] = { "pts", "shm", "fd", "mqueue", ".lxc", ".udev" };
	DIR *d = opendir(host);
	struct dirent *ent;

	while (d && (ent = readdir(d))) {
		OWN(mem) char *from = xasprintf("%s/%s", host, ent->d_name);
		OWN(mem) char *to = xasprintf("%s/%s", inside, ent->d_name);
		struct stat st;
		bool skipped = ent->d_name[0] == '.' || streq(ent->d_name, "console") ||
			       streq(ent->d_name, "ptmx") || lstat(from, &st) < 0;

		for (size_t i = 0; i < ARRAY_SIZE(skip); i++)
			skipped |= streq(ent->d_name, skip[i]);
		if (skipped)
			continue;
		if (S_ISDIR(st.st_mode))
			add_folder(devices, rules_json, from, to, access);
		if (!is_node(&st))
			continue;
		struct rule r = { true, S_ISBLK(st.st_mode) ? 'b' : 'c', (int)major(st.st_rdev),
				  (int)minor(st.st_rdev), access };

		add_node(devices, to, &st);
		if (rules_json)
			json_array_append_new(rules_json, rule_json(&r));
	}
	if (d)
		closedir(d);
}

static struct err *add_device(const struct spec_device *d, json_t *devices, json_t *rules_json)
{
	const char *inside = d->inside && *d->inside ? d->inside : d->host;
	const char *access = d->permissions && *d->permissions ? d->permissions : "rwm";
	struct stat st;

	/* No errno text: its words would be taken for a missing command. */
	if (stat(d->host, &st) < 0)
		return err_new(ERR_INVALID,
			       "error gathering device information while adding custom device "
			       "\"%s\": there is no such device",
			       d->host);
	if (S_ISDIR(st.st_mode)) {
		add_folder(devices, rules_json, d->host, inside, access);
		return NULL;
	}
	if (!is_node(&st))
		return err_new(ERR_INVALID,
			       "error gathering device information while adding custom device "
			       "\"%s\": not a device node",
			       d->host);
	struct rule r = { true, S_ISBLK(st.st_mode) ? 'b' : 'c', (int)major(st.st_rdev),
			  (int)minor(st.st_rdev), access };

	add_node(devices, inside, &st);
	json_array_append_new(rules_json, rule_json(&r));
	return NULL;
}

struct err *plan_devices(const struct spec *s, json_t *oci_linux, json_t *resources)
{
	OWN(json) json_t *devices = json_array();
	OWN(json) json_t *list = json_array();

	if (s->privileged) {
		struct rule all = { true, 'a', -1, -1, "rwm" };

		add_folder(devices, NULL, "/dev", "/dev", "rwm");
		json_array_append_new(list, rule_json(&all));
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules) && !s->privileged; i++)
		json_array_append_new(list, rule_json(&rules[i]));
	for (size_t i = 0; i < s->n_devices && !s->privileged; i++)
		TRY(add_device(&s->devices[i], devices, list));
	for (size_t i = 0; i < s->device_cgroup_rules.n; i++) {
		json_t *r = NULL;

		TRY(parse_rule(s->device_cgroup_rules.v[i], &r));
		json_array_append_new(list, r);
	}
	json_object_set(oci_linux, "devices", devices);
	json_object_set(resources, "devices", list);
	return NULL;
}
