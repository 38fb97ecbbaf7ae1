/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"

#include "util/fd.h"
#include "util/mem.h"
#include "util/source.h"
#include "util/str.h"

#define FILE_MAX (16u << 20)

struct err *jx_parse(const char *text, size_t len, json_t **ret)
{
	json_error_t je;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);

	if (!j)
		return err_new(ERR_INVALID, "JSON, line %d column %d: %s", je.line, je.column,
			       je.text);
	*ret = j;
	return NULL;
}

struct err *jx_load(int dirfd, const char *path, json_t **ret)
{
	OWN(mem) char *buf = NULL;

	TRY(fd_read_file(dirfd, path, FILE_MAX, &buf));
	TRY_MSG(jx_parse(buf, strlen(buf), ret), "%s", path);
	return NULL;
}

struct err *jx_read(int fd, size_t max, const char *name, json_t **ret)
{
	OWN(str) struct str text = { 0 };
	struct source in = source_fd(&fd);
	char buf[16384];
	size_t n = 1;

	while (n) {
		TRY(in.read(in.arg, buf, sizeof(buf), &n));
		str_add(&text, buf, n);
		if (text.len > max)
			return err_new(ERR_INVALID, "the %s is too long", name);
	}
	TRY_MSG(jx_parse(text.buf, text.len, ret), "%s", name);
	return NULL;
}

struct err *jx_save(int dirfd, const char *path, const json_t *j, unsigned mode)
{
	OWN(mem) char *text = jx_text(j);

	return fd_write_file(dirfd, path, text, strlen(text), mode);
}

char *jx_text(const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!text)
		abort();
	return text;
}

const char *jx_str(const json_t *obj, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : fallback;
}

int64_t jx_int(const json_t *obj, const char *key, int64_t fallback)
{
	const json_t *j = json_object_get(obj, key);

	if (json_is_integer(j))
		return json_integer_value(j);
	if (json_is_real(j))
		return (int64_t)json_real_value(j);
	return fallback;
}

bool jx_bool(const json_t *obj, const char *key, bool fallback)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_boolean(j) ? json_is_true(j) : fallback;
}

void jx_strv(const json_t *obj, const char *key, struct strv *l)
{
	const json_t *a = json_object_get(obj, key);

	for (size_t i = 0; i < json_array_size(a); i++)
		if (json_is_string(json_array_get(a, i)))
			strv_add(l, json_string_value(json_array_get(a, i)));
}

json_t *jx_from_strv(const struct strv *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(a, jx_string(l->v[i]));
	return a;
}

json_t *jx_from_map(const struct strmap *m)
{
	json_t *o = json_object();

	for (size_t i = 0; i < m->n; i++)
		jx_set_str(o, m->v[i].key, m->v[i].value);
	return o;
}

void jx_set_str(json_t *obj, const char *key, const char *value)
{
	json_object_set_new(obj, key, value ? jx_string(value) : json_null());
}

/* Length of the UTF-8 sequence at @p that jansson accepts, 0 if there is none. */
static size_t utf8_len(const char *p)
{
	for (size_t n = 1; n <= 4 && p[n - 1]; n++) {
		json_t *j = json_stringn(p, n);

		json_decref(j);
		if (j)
			return n;
	}
	return 0;
}

static json_t *repaired(const char *s)
{
	OWN(str) struct str out = { 0 };

	while (*s) {
		size_t n = utf8_len(s);

		str_add(&out, n ? s : "\xef\xbf\xbd", n ? n : 3);
		s += n ? n : 1;
	}
	return json_string(out.buf ? out.buf : "");
}

json_t *jx_string(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : repaired(s);
}
