/* SPDX-License-Identifier: Apache-2.0 */
#include "json/fields.h"

#include <inttypes.h>
#include <limits.h>

#include "util/mem.h"

static const char *type_name(const json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		return "null";
	}
	return "nothing";
}

static struct err *expected(const char *what, const json_t *got)
{
	return err_new(ERR_INVALID, "expected %s, got %s", what, type_name(got));
}

static struct err *read_integer(const struct json_field *f, const json_t *v, int64_t *ret)
{
	int64_t min = f->min, max = f->max, n;

	if (!min && !max) {
		min = f->type == JF_INT ? INT_MIN : INT64_MIN;
		max = f->type == JF_INT ? INT_MAX : INT64_MAX;
	}
	if (!json_is_integer(v))
		return expected("an integer", v);
	n = json_integer_value(v);
	if (n < min || n > max)
		return err_new(ERR_INVALID,
			       "%" PRId64 " is out of range (%" PRId64 " to %" PRId64 ")", n, min,
			       max);
	*ret = n;
	return NULL;
}

static struct err *read_strv(const json_t *v, struct strv *ret)
{
	OWN(strv) struct strv l = { 0 };

	if (!json_is_array(v))
		return expected("an array of strings", v);
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *s = json_array_get(v, i);

		if (!json_is_string(s))
			return expected("an array of strings", s);
		strv_add(&l, json_string_value(s));
	}
	strv_done(ret);
	*ret = l;
	l = (struct strv) { 0 };
	return NULL;
}

static struct err *read_map(const json_t *v, struct strmap *ret)
{
	struct strmap m = { 0 };
	const char *key;
	json_t *s;

	if (!json_is_object(v))
		return expected("an object of strings", v);
	json_object_foreach((json_t *)(uintptr_t)v, key, s)
	{
		if (!json_is_string(s) && !json_is_null(s)) {
			strmap_done(&m);
			return expected("an object of strings", s);
		}
		strmap_set(&m, key, json_is_null(s) ? "" : json_string_value(s));
	}
	strmap_done(ret);
	*ret = m;
	return NULL;
}

static struct err *read_enum(const struct json_field *f, const json_t *v, int *ret)
{
	OWN(str) struct str all = { 0 };

	if (!json_is_string(v))
		return expected("a string", v);
	for (int i = 0; f->names[i]; i++) {
		if (streq(f->names[i], json_string_value(v))) {
			*ret = i;
			return NULL;
		}
		str_addf(&all, "%s%s", i ? ", " : "", f->names[i]);
	}
	return err_new(ERR_INVALID, "\"%s\" is none of %s", json_string_value(v), all.buf);
}

static void free_array(const struct json_field *f, void *obj)
{
	char **elems = (void *)((char *)obj + f->offset);
	size_t *count = (void *)((char *)obj + f->count_offset);

	for (size_t i = 0; i < *count; i++)
		json_free_fields(f->sub, f->n_sub, *elems + i * f->elem_size);
	free(*elems);
	*elems = NULL;
	*count = 0;
}

static struct err *read_array(const struct json_field *f, const json_t *v, void *obj)
{
	char **elems = (void *)((char *)obj + f->offset);
	size_t *count = (void *)((char *)obj + f->count_offset);
	size_t n = json_array_size(v);

	if (!json_is_array(v))
		return expected("an array of objects", v);
	free_array(f, obj);
	*elems = n ? xcalloc(n, f->elem_size) : NULL;
	for (*count = 0; *count < n;) {
		void *elem = *elems + *count * f->elem_size;

		++*count; /* counted before it is read: a half-read one is freed with the rest */
		TRY_MSG(json_read_fields(f->sub, f->n_sub, json_array_get(v, *count - 1), elem),
			"[%zu]", *count - 1);
	}
	return NULL;
}

static json_t *write_array(const struct json_field *f, const void *obj)
{
	const char *elems = *(char *const *)(const void *)((const char *)obj + f->offset);
	size_t count = *(const size_t *)(const void *)((const char *)obj + f->count_offset);
	json_t *a = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *o = json_object();

		json_write_fields(f->sub, f->n_sub, elems + i * f->elem_size, o);
		json_array_append_new(a, o);
	}
	return a;
}

static struct err *read_one(const struct json_field *f, const json_t *v, void *obj)
{
	void *slot = (char *)obj + f->offset;
	int64_t n = 0;

	switch (f->type) {
	case JF_STR:
		if (!json_is_string(v))
			return expected("a string", v);
		str_set(slot, json_string_value(v));
		return NULL;
	case JF_BOOL:
		if (!json_is_boolean(v))
			return expected("a boolean", v);
		*(bool *)slot = json_is_true(v);
		return NULL;
	case JF_INT:
		TRY(read_integer(f, v, &n));
		*(int *)slot = (int)n;
		return NULL;
	case JF_I64:
		TRY(read_integer(f, v, &n));
		*(int64_t *)slot = n;
		return NULL;
	case JF_STRV:
		return read_strv(v, slot);
	case JF_MAP:
		return read_map(v, slot);
	case JF_JSON:
		json_decref(*(json_t **)slot);
		*(json_t **)slot = json_incref((json_t *)(uintptr_t)v);
		return NULL;
	case JF_ENUM:
		return read_enum(f, v, slot);
	case JF_ARRAY:
		return read_array(f, v, obj);
	case JF_CODEC:
		return f->read(v, slot);
	}
	return NULL;
}

struct err *json_read_fields(const struct json_field *table, size_t n, const json_t *j, void *obj)
{
	if (!json_is_object(j))
		return j ? expected("an object", j) : err_new(ERR_INVALID, "expected an object");
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_object_get(j, table[i].name);

		if (v && !json_is_null(v))
			TRY_MSG(read_one(&table[i], v, obj), "%s", table[i].name);
	}
	return NULL;
}

static json_t *write_one(const struct json_field *f, const void *obj)
{
	const void *slot = (const char *)obj + f->offset;

	switch (f->type) {
	case JF_STR:
		return *(char *const *)slot ? jx_string(*(char *const *)slot) : json_string("");
	case JF_BOOL:
		return json_boolean(*(const bool *)slot);
	case JF_INT:
		return json_integer(*(const int *)slot);
	case JF_I64:
		return json_integer(*(const int64_t *)slot);
	case JF_STRV:
		return jx_from_strv(slot);
	case JF_MAP:
		return jx_from_map(slot);
	case JF_JSON:
		return *(json_t *const *)slot ? json_incref(*(json_t *const *)slot) : json_null();
	case JF_ENUM:
		return json_string(f->names[*(const int *)slot]);
	case JF_ARRAY:
		return write_array(f, obj);
	case JF_CODEC:
		return f->write(slot);
	}
	return NULL;
}

void json_write_fields(const struct json_field *table, size_t n, const void *obj, json_t *j)
{
	for (size_t i = 0; i < n; i++) {
		json_t *v = write_one(&table[i], obj);

		if (v)
			json_object_set_new(j, table[i].name, v);
	}
}

void json_free_fields(const struct json_field *table, size_t n, void *obj)
{
	for (size_t i = 0; i < n; i++) {
		void *slot = (char *)obj + table[i].offset;

		if (table[i].type == JF_STR)
			str_set(slot, NULL);
		else if (table[i].type == JF_STRV)
			strv_done(slot);
		else if (table[i].type == JF_MAP)
			strmap_done(slot);
		else if (table[i].type == JF_JSON) {
			json_decref(*(json_t **)slot);
			*(json_t **)slot = NULL;
		} else if (table[i].type == JF_ARRAY)
			free_array(&table[i], obj);
	}
}

const char *json_unknown_field(const struct json_field *table, size_t n, const json_t *j)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)j, key, v)
	{
		bool known = false;

		for (size_t i = 0; i < n && !known; i++)
			known = streq(table[i].name, key);
		if (!known)
			return key;
	}
	return NULL;
}
