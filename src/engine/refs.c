/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/refs.h"

#include <ctype.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"

#define HUB     "docker.io/"
#define LIBRARY "docker.io/library/"
#define REF_MAX 255

static bool is_hex(const char *s)
{
	return *s && s[strspn(s, "0123456789abcdef")] == '\0';
}

bool ref_is_id(const char *text)
{
	if (!strncmp(text, "sha256:", 7))
		text += 7;
	return strlen(text) <= 64 && is_hex(text);
}

/* Path components: lower case letters and digits, with . _ - between them. */
static bool is_path(const char *s, size_t n)
{
	bool after_separator = true;

	for (size_t i = 0; i < n; i++) {
		bool plain = islower((unsigned char)s[i]) || isdigit((unsigned char)s[i]);

		if (!plain && (!strchr("._-/", s[i]) || (s[i] == '/' && after_separator)))
			return false;
		if (after_separator && !plain)
			return false;
		after_separator = s[i] == '/';
	}
	return n > 0 && !after_separator;
}

static bool is_host(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(".-:[]", s[i]))
			return false;
	return n > 0;
}

static bool is_tag(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_' && (i == 0 || !strchr(".-", s[i])))
			return false;
	return n > 0 && n <= 128;
}

static bool is_digest(const char *s)
{
	return !strncmp(s, "sha256:", 7) && strlen(s + 7) == 64 && is_hex(s + 7);
}

struct parts {
	const char *path;
	size_t host_len, path_len; /* path follows host and '/' */
	const char *tag, *digest;  /* NULL: none */
};

static struct parts split(const char *text)
{
	struct parts p = { .path = text };
	const char *slash = strchr(text, '/');
	size_t first = slash ? (size_t)(slash - text) : 0;
	const char *at = strchr(text, '@');
	size_t end = at ? (size_t)(at - text) : strlen(text);

	/* A host has a dot or a port, or is localhost. */
	if (slash && (memchr(text, '.', first) || memchr(text, ':', first) ||
		      (first == 9 && !strncmp(text, "localhost", 9)))) {
		p.host_len = first;
		p.path = slash + 1;
	}
	p.digest = at ? at + 1 : NULL;
	p.path_len = end - (size_t)(p.path - text);
	for (size_t i = p.path_len; i > 0 && p.path[i - 1] != '/'; i--)
		if (p.path[i - 1] == ':') {
			p.tag = p.path + i;
			p.path_len = i - 1;
			break;
		}
	return p;
}

struct err *ref_normalise(const char *text, char **ret)
{
	struct parts p = split(text);
	OWN(mem) char *tag = NULL;
	OWN(str) struct str s = { 0 };

	if (p.tag)
		tag = p.digest ? xstrndup(p.tag, (size_t)(p.digest - 1 - p.tag)) : xstrdup(p.tag);
	if (strlen(text) > REF_MAX + 140 || !is_path(p.path, p.path_len) || (tag && !is_tag(tag)) ||
	    (p.digest && !is_digest(p.digest)) || (p.host_len && !is_host(text, p.host_len)))
		return err_new(ERR_INVALID, "invalid reference format");
	if (p.host_len)
		str_addf(&s, "%.*s/", (int)p.host_len, text);
	else
		str_adds(&s, memchr(p.path, '/', p.path_len) ? HUB : LIBRARY);
	str_add(&s, p.path, p.path_len);
	if (p.digest)
		str_addf(&s, "@%s", p.digest);
	else
		str_addf(&s, ":%s", tag ? tag : "latest");
	*ret = str_take(&s);
	return NULL;
}

const char *ref_short(const char *ref)
{
	if (!strncmp(ref, LIBRARY, strlen(LIBRARY)))
		return ref + strlen(LIBRARY);
	if (!strncmp(ref, HUB, strlen(HUB)))
		return ref + strlen(HUB);
	return ref;
}

char *ref_repository(const char *ref)
{
	struct parts p = split(ref);

	return xstrndup(ref, (size_t)(p.path - ref) + p.path_len);
}
