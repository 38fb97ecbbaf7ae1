/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/header.h"

#include <stdio.h>
#include <string.h>

#include "tls/digest.h"
#include "util/mem.h"
#include "util/num.h"

#define MAGIC "hostel-snapshot "

char *snap_header_text(const json_t *header)
{
	OWN(mem) char *json = jx_text(header);
	char digest[DIGEST_CHARS];

	digest_of(json, strlen(json), digest);
	return xasprintf(MAGIC "%d %s %zu\n%s", SNAP_VERSION, digest + strlen("sha256:"),
			 strlen(json), json);
}

static bool is_hex(const char *text, size_t n)
{
	return strspn(text, "0123456789abcdef") >= n;
}

static struct err *damaged(const char *what)
{
	return err_new(ERR_CORRUPT, "snapshot header: %s", what);
}

static struct err *check_version(const char *text)
{
	int64_t version;
	OWN(err) struct err *err = num_parse_i64(text, 1, INT32_MAX, &version);

	if (err)
		return damaged("no version");
	if (version == SNAP_VERSION)
		return NULL;
	return err_new(ERR_UNSUPPORTED,
		       "the snapshot was written by %s hostel (format %d, this one reads %d)",
		       version > SNAP_VERSION ? "a newer" : "an older", (int)version, SNAP_VERSION);
}

/* "VERSION DIGEST BYTES", each an own string. */
static struct err *parse_words(char *words, struct snap_line *l)
{
	char *digest = strchr(words, ' '), *bytes = digest ? strchr(digest + 1, ' ') : NULL;
	int64_t n;

	if (digest)
		*digest++ = '\0';
	TRY(check_version(words));
	if (!bytes)
		return damaged("the first line is cut");
	*bytes++ = '\0';
	if (strlen(digest) != DIGEST_HEX || !is_hex(digest, DIGEST_HEX))
		return damaged("no checksum");
	OWN(err) struct err *err = num_parse_i64(bytes, 2, SNAP_HEADER_MAX, &n);

	if (err)
		return damaged("no length");
	memcpy(l->digest, digest, DIGEST_HEX + 1);
	l->json_bytes = (size_t)n;
	return NULL;
}

struct err *snap_line_parse(const char *text, size_t len, struct snap_line *ret)
{
	size_t magic = strlen(MAGIC);
	const char *end;
	struct snap_line l = { 0 };

	if (len < magic || memcmp(text, MAGIC, magic))
		return err_new(ERR_INVALID, "this is no snapshot of hostel");
	end = memchr(text, '\n', len < SNAP_LINE_MAX ? len : SNAP_LINE_MAX);
	if (!end || memchr(text, '\0', (size_t)(end - text)))
		return damaged("the first line is cut");
	OWN(mem) char *words = xstrndup(text + magic, (size_t)(end - text) - magic);

	TRY(parse_words(words, &l));
	l.line_bytes = (size_t)(end - text) + 1;
	*ret = l;
	return NULL;
}

bool snap_section_is_name(const char *name)
{
	if (streq(name, "disk") || streq(name, "state"))
		return true;
	if (strncmp(name, "volume/", 7))
		return false;
	name += 7;
	return *name && *name != '.' && strlen(name) < 256 && !strchr(name, '/');
}

static bool is_section(const json_t *s)
{
	const char *name = jx_str(s, "name", NULL), *digest = jx_str(s, "sha256", NULL);

	if (!name || !snap_section_is_name(name))
		return false;
	/* Absent: what is written while it changes says it at its end only. */
	return !digest || (strlen(digest) == DIGEST_HEX && is_hex(digest, DIGEST_HEX));
}

static struct err *check_sections(const json_t *a)
{
	const json_t *s;
	size_t n;

	if (!json_is_array(a))
		return damaged("no list of sections");
	json_array_foreach(a, n, s)
	{
		if (!is_section(s))
			return damaged("a section that is none");
		for (size_t k = 0; k < n; k++)
			if (streq(jx_str(json_array_get(a, k), "name", ""), jx_str(s, "name", "")))
				return damaged("a section that is there twice");
	}
	return NULL;
}

static struct err *check_members(const json_t *j)
{
	static const char *const texts[] = { "name", "kind" };

	for (size_t n = 0; n < ARRAY_SIZE(texts); n++)
		if (!json_is_string(json_object_get(j, texts[n])))
			return damaged("a member is missing");
	if (!json_is_object(json_object_get(j, "spec")) ||
	    !json_is_object(json_object_get(j, "instance")) ||
	    !json_is_boolean(json_object_get(j, "stateful")) ||
	    !json_is_integer(json_object_get(j, "created_ns")))
		return damaged("a member is missing");
	return check_sections(json_object_get(j, "sections"));
}

struct err *snap_json_parse(const struct snap_line *l, const char *text, json_t **ret)
{
	OWN(json) json_t *j = NULL;
	OWN(err) struct err *err = NULL;
	char digest[DIGEST_CHARS];

	digest_of(text, l->json_bytes, digest);
	if (!streq(digest + strlen("sha256:"), l->digest))
		return damaged("its checksum is another");
	err = jx_parse(text, l->json_bytes, &j);
	if (err)
		return damaged(err_text(err));
	TRY(check_members(j));
	*ret = TAKE(j);
	return NULL;
}

struct err *snap_header_parse(const char *text, size_t len, json_t **ret)
{
	struct snap_line l;

	TRY(snap_line_parse(text, len, &l));
	if (len - l.line_bytes < l.json_bytes)
		return damaged("it is cut");
	return snap_json_parse(&l, text + l.line_bytes, ret);
}

const json_t *snap_section(const json_t *header, const char *name)
{
	const json_t *s;
	size_t n;

	json_array_foreach(json_object_get(header, "sections"), n,
			   s) if (streq(jx_str(s, "name", ""), name)) return s;
	return NULL;
}
