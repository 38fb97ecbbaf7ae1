/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_FIELDS_H
#define JSON_FIELDS_H

/*
 * Option tables: one table per object says name, type, place and range; the
 * reader, the writer and the error messages come from it.
 *
 *	static const struct json_field fields[] = {
 *		JSON_FIELD(struct spec, "Hostname", JF_STR, hostname),
 *		JSON_RANGE(struct spec, "Memory", JF_I64, memory_bytes, 0, INT64_MAX),
 *	};
 *
 * Absent and null members leave the object untouched; unknown members are
 * ignored (json_unknown_field() finds them where they must be refused).
 */

#include "json/json.h"

enum json_type {
	JF_STR,   /* char *, owned */
	JF_BOOL,  /* bool */
	JF_INT,   /* int */
	JF_I64,   /* int64_t */
	JF_STRV,  /* struct strv: array of strings */
	JF_MAP,   /* struct strmap: object of strings (a null value is "") */
	JF_JSON,  /* json_t *, owned reference, any value */
	JF_ENUM,  /* int-sized enum: one of names[] */
	JF_ARRAY, /* owned array of structs, each an object of fields sub[]; size_t count beside it
		   */
	JF_CODEC, /* whatever read/write make of it */
};

struct json_field {
	const char *name;
	enum json_type type;
	size_t offset;
	int64_t min, max; /* JF_INT and JF_I64; both 0: the whole range of the type */
	/* JF_CODEC: @slot is the member; write may return NULL to leave it out. */
	struct err *(*read)(const json_t *value, void *slot);
	json_t *(*write)(const void *slot);
	/* JF_ENUM */
	const char *const *names; /* NULL-terminated; index is the value */
	/* JF_ARRAY */
	const struct json_field *sub;
	size_t n_sub, elem_size, count_offset;
};

#define JSON_FIELD(type_, name_, jtype_, member_)                                                  \
	{                                                                                          \
		.name = (name_), .type = (jtype_), .offset = offsetof(type_, member_)              \
	}
#define JSON_RANGE(type_, name_, jtype_, member_, min_, max_)                                      \
	{                                                                                          \
		.name = (name_), .type = (jtype_), .offset = offsetof(type_, member_),             \
		.min = (min_), .max = (max_)                                                       \
	}
#define JSON_CODEC(type_, name_, member_, read_, write_)                                           \
	{                                                                                          \
		.name = (name_), .type = JF_CODEC, .offset = offsetof(type_, member_),             \
		.read = (read_), .write = (write_)                                                 \
	}

#define JSON_ENUM(type_, name_, member_, names_)                                                   \
	{                                                                                          \
		.name = (name_), .type = JF_ENUM, .offset = offsetof(type_, member_),              \
		.names = (names_)                                                                  \
	}
#define JSON_ARRAY(type_, name_, member_, count_, table_)                                          \
	{                                                                                          \
		.name = (name_), .type = JF_ARRAY, .offset = offsetof(type_, member_),             \
		.sub = (table_), .n_sub = ARRAY_SIZE(table_),                                      \
		.elem_size = sizeof(*((type_ *)0)->member_),                                       \
		.count_offset = offsetof(type_, count_)                                            \
	}

/**
 * json_read_fields() - fill @obj from the members of @j
 * @table, @n: the fields
 * @j:         must be an object
 * @obj:       object with valid (zero or earlier) content; lists and maps are replaced
 *
 * Return: NULL, or ERR_INVALID "Memory: expected an integer, got a string"; @obj
 *         may then be partly filled and is still valid.
 */
struct err *json_read_fields(const struct json_field *table, size_t n, const json_t *j,
			     void *obj) MUST_USE;

/** json_write_fields() - set all fields of @obj as members of the object @j */
void json_write_fields(const struct json_field *table, size_t n, const void *obj, json_t *j);

/** json_free_fields() - release all that the fields of @obj own (not JF_CODEC); zeroes them */
void json_free_fields(const struct json_field *table, size_t n, void *obj);

/** json_unknown_field() - first member of @j that no row of the table names, or NULL; borrowed */
const char *json_unknown_field(const struct json_field *table, size_t n, const json_t *j);

#endif
