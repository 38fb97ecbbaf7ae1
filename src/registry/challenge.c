/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/challenge.h"

#include <ctype.h>
#include <strings.h>

#include "util/mem.h"
#include "util/str.h"

/* token or "quoted string"; returns what follows */
static const char *read_value(const char *p, struct str *ret)
{
	str_adds(ret, "");
	if (*p != '"') {
		size_t n = strcspn(p, ", \t");

		str_add(ret, p, n);
		return p + n;
	}
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		str_add(ret, p, 1);
	}
	return *p ? p + 1 : p;
}

static void set_param(struct challenge *c, const char *name, size_t n, const char *value)
{
	const struct {
		const char *name;
		char **slot;
	} params[] = { { "realm", &c->realm }, { "service", &c->service }, { "scope", &c->scope } };

	for (size_t i = 0; i < ARRAY_SIZE(params); i++)
		if (strlen(params[i].name) == n && !strncasecmp(params[i].name, name, n))
			str_set(params[i].slot, value);
}

void challenge_parse(const char *header, struct challenge *ret)
{
	const char *p = header + strspn(header, " \t");
	size_t n = strcspn(p, " \t,");

	*ret = (struct challenge) { 0 };
	if (n == 5 && !strncasecmp(p, "Basic", n))
		ret->scheme = CHALLENGE_BASIC;
	else if (n == 6 && !strncasecmp(p, "Bearer", n))
		ret->scheme = CHALLENGE_BEARER;
	else
		return;
	for (p += n; *p;) {
		OWN(str) struct str value = { 0 };
		const char *name;

		p += strspn(p, " \t,");
		name = p;
		n = strcspn(p, "= \t,");
		p += n;
		if (*p != '=')
			return; /* the next scheme */
		p = read_value(p + 1, &value);
		set_param(ret, name, n, value.buf);
	}
}

void challenge_done(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	*c = (struct challenge) { 0 };
}

static void add_escaped(struct str *s, const char *text)
{
	for (; *text; text++) {
		unsigned char ch = (unsigned char)*text;

		if (isalnum(ch) || strchr("-._~:/", ch))
			str_add(s, text, 1);
		else
			str_addf(s, "%%%02X", ch);
	}
}

static void add_param(struct str *s, const char *key, const char *value)
{
	if (!value)
		return;
	str_addf(s, "%s%s=", s->len && !strchr("?&", s->buf[s->len - 1]) ? "&" : "", key);
	add_escaped(s, value);
}

char *challenge_token_url(const struct challenge *c, const char *scope)
{
	const char *realm = c->realm ? c->realm : "";
	OWN(str) struct str url = { 0 };

	str_addf(&url, "%s%c", realm, strchr(realm, '?') ? '&' : '?');
	add_param(&url, "service", c->service);
	add_param(&url, "scope", c->scope ? c->scope : scope);
	return str_take(&url);
}

char *challenge_token_form(const struct challenge *c, const char *scope, const char *token)
{
	OWN(str) struct str form = { 0 };

	add_param(&form, "grant_type", "refresh_token");
	add_param(&form, "service", c->service);
	add_param(&form, "scope", c->scope ? c->scope : scope);
	add_param(&form, "client_id", "hostel");
	add_param(&form, "refresh_token", token);
	return str_take(&form);
}
