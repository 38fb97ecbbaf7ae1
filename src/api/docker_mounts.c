/* SPDX-License-Identifier: Apache-2.0 */
#include "api/docker_spec.h"

#include <ctype.h>

#include "util/mem.h"

const char *const docker_mount_types[] = { "bind", "volume", "tmpfs", NULL };

static struct spec_mount *add_mount(struct spec *s)
{
	s->mounts = xrealloc(s->mounts, s->n_mounts + 1, sizeof(*s->mounts));
	s->mounts[s->n_mounts] = (struct spec_mount) { 0 };
	return &s->mounts[s->n_mounts++];
}

/* "/a//b/" and "/a/b" are one place. */
static char *clean_path(const char *path)
{
	char *out = xstrdup(path), *to = out;

	for (const char *p = out; *p; p++)
		if (*p != '/' || to == out || to[-1] != '/')
			*to++ = *p;
	if (to > out + 1 && to[-1] == '/')
		to--;
	*to = '\0';
	return out;
}

static struct err *check_volume_name(const char *name)
{
	bool ok = isalnum((unsigned char)name[0]) && name[1];

	for (const char *p = name; *p && ok; p++)
		ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
	if (ok)
		return NULL;
	return err_new(ERR_INVALID,
		       "create %s: \"%s\" includes invalid characters for a local volume name, "
		       "only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a "
		       "host directory, use absolute path",
		       name, name);
}

/* ---- -v ---- */

static const char *const propagations[] = { "private", "rprivate", "shared",
					    "rshared", "slave",    "rslave" };
static const char *const ignored_modes[] = { "rw", "z", "Z", "consistent", "cached", "delegated" };

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(word, list[i]))
			return true;
	return false;
}

static bool apply_mode(struct spec_mount *m, const char *word)
{
	if (streq(word, "ro"))
		m->readonly = true;
	else if (streq(word, "nocopy") && m->type == MOUNT_VOLUME)
		m->nocopy = true;
	else if (is_one_of(word, propagations, ARRAY_SIZE(propagations)) && m->type == MOUNT_BIND)
		str_set(&m->propagation, word);
	else
		return is_one_of(word, ignored_modes, ARRAY_SIZE(ignored_modes));
	return true;
}

static struct err *read_modes(struct spec_mount *m, const char *modes, const char *bind)
{
	OWN(mem) char *copy = xstrdup(modes);
	char *rest = copy, *word;

	while ((word = strsep(&rest, ",")))
		if (!apply_mode(m, word))
			return err_new(ERR_INVALID,
				       "invalid volume specification: '%s': invalid mode: %s", bind,
				       modes);
	return NULL;
}

static struct err *read_bind(struct spec *s, const char *bind)
{
	OWN(mem) char *copy = xstrdup(bind);
	char *rest = copy;
	const char *source = strsep(&rest, ":"), *target = strsep(&rest, ":");
	struct spec_mount *m;

	if (!target || !*source || target[0] != '/' || (rest && strchr(rest, ':')))
		return err_new(ERR_INVALID, "invalid volume specification: '%s'", bind);
	m = add_mount(s);
	m->type = source[0] == '/' ? MOUNT_BIND : MOUNT_VOLUME;
	m->source = clean_path(source);
	m->target = clean_path(target);
	m->create_source = m->type == MOUNT_BIND;
	if (m->type == MOUNT_VOLUME)
		TRY(check_volume_name(source));
	return rest ? read_modes(m, rest, bind) : NULL;
}

struct err *docker_binds_read(struct spec *s)
{
	for (size_t i = 0; i < s->binds.n; i++)
		TRY(read_bind(s, s->binds.v[i]));
	return NULL;
}

/* ---- --mount ---- */

static struct err *find_type(const char *name, struct spec_mount *m)
{
	for (int i = 0; docker_mount_types[i]; i++)
		if (streq(docker_mount_types[i], name)) {
			m->type = i;
			return NULL;
		}
	return err_new(ERR_INVALID, "mount type unknown: \"%s\"", name);
}

static struct err *read_mount(const json_t *j, struct spec *s)
{
	struct spec_mount *m = add_mount(s);
	const json_t *bind = json_object_get(j, "BindOptions");
	const json_t *volume = json_object_get(j, "VolumeOptions");
	const json_t *tmpfs = json_object_get(j, "TmpfsOptions");
	const char *source = jx_str(j, "Source", "");

	TRY(find_type(jx_str(j, "Type", ""), m));
	m->target = clean_path(jx_str(j, "Target", ""));
	m->source = *source ? clean_path(source) : NULL;
	m->readonly = jx_bool(j, "ReadOnly", false);
	m->propagation = xstrdup(jx_str(bind, "Propagation", NULL));
	m->non_recursive = jx_bool(bind, "NonRecursive", false);
	m->create_source = jx_bool(bind, "CreateMountpoint", false);
	m->nocopy = jx_bool(volume, "NoCopy", false);
	m->tmpfs_bytes = jx_int(tmpfs, "SizeBytes", 0);
	m->tmpfs_mode = (int)jx_int(tmpfs, "Mode", 0);
	if (!*m->target)
		return err_new(ERR_INVALID,
			       "invalid mount config for type \"%s\": field Target must not be "
			       "empty",
			       docker_mount_types[m->type]);
	if (m->type == MOUNT_BIND && !m->source)
		return err_new(ERR_INVALID, "invalid mount config for type \"bind\": field Source "
					    "must not be empty");
	if (m->type == MOUNT_TMPFS && m->source)
		return err_new(ERR_INVALID, "invalid mount config for type \"tmpfs\": field Source "
					    "must not be specified");
	if (m->tmpfs_bytes < 0)
		return err_new(ERR_INVALID, "invalid mount config for type \"tmpfs\": SizeBytes "
					    "must not be negative");
	if (m->type == MOUNT_VOLUME && m->source)
		TRY(check_volume_name(m->source));
	return NULL;
}

struct err *docker_mounts_read(const json_t *j, void *slot)
{
	if (!json_is_array(j))
		return err_new(ERR_INVALID, "expected an array");
	for (size_t i = 0; i < json_array_size(j); i++)
		TRY(read_mount(json_array_get(j, i), container_of(slot, struct spec, mounts)));
	return NULL;
}

/* Was this one said by -v, or is it an anonymous volume? */
static bool is_said_elsewhere(const struct spec *s, const struct spec_mount *m)
{
	for (size_t i = 0; i < s->binds.n; i++) {
		const char *target = strchr(s->binds.v[i], ':');
		size_t len = target ? strcspn(target + 1, ":") : 0;

		OWN(mem) char *clean = NULL;
		OWN(mem) char *text = xstrndup(target ? target + 1 : "", len);

		clean = clean_path(text);
		if (streq(clean, m->target))
			return true;
	}
	return strv_has(&s->volumes, m->target);
}

static json_t *mount_object(const struct spec_mount *m)
{
	json_t *j =
	    json_pack("{s:s, s:s}", "Type", docker_mount_types[m->type], "Target", m->target);

	if (m->source)
		jx_set_str(j, "Source", m->source);
	if (m->readonly)
		json_object_set_new(j, "ReadOnly", json_true());
	if (m->propagation || m->non_recursive)
		json_object_set_new(j, "BindOptions",
				    json_pack("{s:s, s:b}", "Propagation",
					      m->propagation ? m->propagation : "", "NonRecursive",
					      m->non_recursive));
	if (m->nocopy)
		json_object_set_new(j, "VolumeOptions", json_pack("{s:b}", "NoCopy", 1));
	if (m->tmpfs_bytes || m->tmpfs_mode)
		json_object_set_new(j, "TmpfsOptions",
				    json_pack("{s:I, s:i}", "SizeBytes", (json_int_t)m->tmpfs_bytes,
					      "Mode", m->tmpfs_mode));
	return j;
}

json_t *docker_mounts_write(const void *slot)
{
	const struct spec *s = SPEC_OF(slot, mounts);
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_mounts; i++)
		if (!is_said_elsewhere(s, &s->mounts[i]))
			json_array_append_new(a, mount_object(&s->mounts[i]));
	return a;
}

struct err *docker_mounts_check(const struct spec *s)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		for (size_t k = 0; k < i; k++)
			if (streq(s->mounts[i].target, s->mounts[k].target))
				return err_new(ERR_INVALID, "Duplicate mount point: %s",
					       s->mounts[i].target);
		if (strmap_get(&s->tmpfs, s->mounts[i].target))
			return err_new(ERR_INVALID, "Duplicate mount point: %s",
				       s->mounts[i].target);
	}
	return NULL;
}
