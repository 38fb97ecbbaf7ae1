/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/ref.h"

#include <string.h>

#include "util/mem.h"

#define HUB            "docker.io"
#define OFFICIAL       "library/"
#define NAME_MAX_BYTES 255
#define TAG_MAX        128
#define LOWER          "abcdefghijklmnopqrstuvwxyz"
#define UPPER          "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS         "0123456789"
#define HEX            "0123456789abcdef"

static struct err *bad_format(void)
{
	return err_new(ERR_INVALID, "invalid reference format");
}

bool oci_digest_is_valid(const char *text)
{
	return text && !strncmp(text, "sha256:", 7) && strlen(text) == 71 &&
	       strspn(text + 7, HEX) == 64;
}

const char *oci_digest_hex(const char *digest)
{
	return digest + 7;
}

/* Length of a separator between the words of a path component: one '.', '_', "__", or '-'s. */
static size_t separator_len(const char *p)
{
	if (*p == '.')
		return 1;
	if (*p == '_')
		return p[1] == '_' ? 2 : 1;
	return strspn(p, "-");
}

/* [a-z0-9]+ (separator [a-z0-9]+)*, to the next '/' or the end; 0: no component */
static size_t component_len(const char *p)
{
	size_t n = strspn(p, LOWER DIGITS);

	while (n && p[n] && p[n] != '/') {
		size_t sep = separator_len(p + n);
		size_t word = sep ? strspn(p + n + sep, LOWER DIGITS) : 0;

		if (!word)
			return 0;
		n += sep + word;
	}
	return n;
}

static bool is_path(const char *p)
{
	for (;;) {
		size_t n = component_len(p);

		if (!n)
			return false;
		if (!p[n])
			return true;
		p += n + 1;
	}
}

static bool is_host_char(char c)
{
	return strchr(LOWER UPPER DIGITS "-.", c) && c;
}

static bool is_domain(const char *d)
{
	const char *p = d;

	if (*p == '[') {
		size_t n = strspn(p + 1, HEX "ABCDEF:");

		if (!n || p[n + 1] != ']')
			return false;
		p += n + 2;
	} else {
		while (is_host_char(*p))
			p++;
		if (p == d || *d == '-' || *d == '.' || p[-1] == '-' || p[-1] == '.' ||
		    strstr(d, ".."))
			return false;
	}
	if (!*p)
		return true;
	return *p == ':' && p[1] && strspn(p + 1, DIGITS) == strlen(p + 1);
}

static bool is_tag(const char *t)
{
	size_t n = strlen(t);

	return n && n <= TAG_MAX && *t != '.' && *t != '-' &&
	       strspn(t, LOWER UPPER DIGITS "_.-") == n;
}

/* Is the first component of a name a host? */
static bool names_host(const char *first)
{
	return strpbrk(first, ".:[") || streq(first, "localhost") || strpbrk(first, UPPER);
}

static void split_domain(const char *name, struct oci_ref *r)
{
	const char *slash = strchr(name, '/');
	OWN(mem) char *first = slash ? xstrndup(name, (size_t)(slash - name)) : NULL;

	if (first && names_host(first)) {
		r->domain = xstrdup(streq(first, "index.docker.io") ? HUB : first);
		r->path = xstrdup(slash + 1);
	} else {
		r->domain = xstrdup(HUB);
		r->path = xstrdup(name);
	}
	if (streq(r->domain, HUB) && !strchr(r->path, '/')) {
		char *path = xasprintf(OFFICIAL "%s", r->path);

		free(r->path);
		r->path = path;
	}
}

static struct err *check_name(const struct oci_ref *r, const char *name)
{
	if (strpbrk(r->path, UPPER))
		return err_new(ERR_INVALID,
			       "invalid reference format: repository name (%s) must be lowercase",
			       r->path);
	if (!is_domain(r->domain) || !is_path(r->path))
		return bad_format();
	if (strlen(r->domain) + 1 + strlen(r->path) > NAME_MAX_BYTES)
		return err_new(ERR_INVALID, "repository name must not be more than %d characters",
			       NAME_MAX_BYTES);
	if (strlen(name) == 64 && strspn(name, HEX) == 64)
		return err_new(ERR_INVALID,
			       "invalid repository name (%s), cannot specify 64-byte "
			       "hexadecimal strings",
			       name);
	return NULL;
}

struct err *oci_ref_parse(const char *text, struct oci_ref *ret)
{
	OWN(oci_ref) struct oci_ref r = { 0 };
	OWN(mem) char *name = xstrdup(text);
	char *at = strchr(name, '@'), *colon;

	if (at) {
		*at = '\0';
		r.digest = xstrdup(at + 1);
		if (!oci_digest_is_valid(r.digest))
			return strncmp(r.digest, "sha256:", 7)
				   ? err_new(ERR_INVALID,
					     "invalid reference format: unsupported digest")
				   : bad_format();
	}
	colon = strrchr(name, ':');
	if (colon && !strchr(colon, '/')) {
		*colon = '\0';
		r.tag = xstrdup(colon + 1);
		if (!is_tag(r.tag))
			return bad_format();
	}
	if (!r.tag && !r.digest)
		r.tag = xstrdup("latest");
	split_domain(name, &r);
	TRY(check_name(&r, name));
	*ret = r;
	r = (struct oci_ref) { 0 };
	return NULL;
}

void oci_ref_done(struct oci_ref *r)
{
	free(r->domain);
	free(r->path);
	free(r->tag);
	free(r->digest);
	*r = (struct oci_ref) { 0 };
}

static char *with_tag(const struct oci_ref *r, const char *name)
{
	return xasprintf("%s%s%s%s%s", name, r->tag ? ":" : "", r->tag ? r->tag : "",
			 r->digest ? "@" : "", r->digest ? r->digest : "");
}

char *oci_ref_text(const struct oci_ref *r)
{
	OWN(mem) char *name = xasprintf("%s/%s", r->domain, r->path);

	return with_tag(r, name);
}

char *oci_ref_name(const struct oci_ref *r)
{
	const char *rest = r->path + strlen(OFFICIAL);

	if (!streq(r->domain, HUB))
		return xasprintf("%s/%s", r->domain, r->path);
	return xstrdup(
	    !strncmp(r->path, OFFICIAL, strlen(OFFICIAL)) && !strchr(rest, '/') ? rest : r->path);
}

char *oci_ref_familiar(const struct oci_ref *r)
{
	OWN(mem) char *name = oci_ref_name(r);

	return with_tag(r, name);
}
