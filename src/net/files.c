/* SPDX-License-Identifier: Apache-2.0 */
#include "net/files.h"

#include <arpa/inet.h>
#include <string.h>

#include "util/mem.h"

static bool is_address(const char *text)
{
	unsigned char buf[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, buf) == 1 || inet_pton(AF_INET6, text, buf) == 1;
}

/* "name:address" (the address may be IPv6, in brackets too) or "name=address". */
static struct err *add_extra(struct str *s, const char *line, const char *gateway)
{
	size_t name_len = strcspn(line, "=:");
	OWN(mem) char *address = line[name_len] ? xstrdup(line + name_len + 1) : xstrdup("");
	size_t n = strlen(address);

	if (!name_len || !line[name_len])
		return err_new(ERR_INVALID, "bad format for add-host: \"%s\"", line);
	if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
		memmove(address, address + 1, n - 2);
		address[n - 2] = '\0';
	}
	if (streq(address, "host-gateway")) {
		if (!gateway)
			return err_new(ERR_INVALID, "host-gateway needs network mode bridge");
		str_set(&address, gateway);
	}
	if (!is_address(address))
		return err_new(ERR_INVALID, "invalid IP address in add-host: \"%s\"", address);
	str_addf(s, "%s\t%.*s\n", address, (int)name_len, line);
	return NULL;
}

struct err *net_hosts_text(const struct net_hosts *h, char **ret)
{
	OWN(str) struct str s = { 0 };

	str_adds(&s, "127.0.0.1\tlocalhost\n"
		     "::1\tlocalhost ip6-localhost ip6-loopback\n"
		     "fe00::\tip6-localnet\n"
		     "ff00::\tip6-mcastprefix\n"
		     "ff02::1\tip6-allnodes\n"
		     "ff02::2\tip6-allrouters\n");
	for (size_t i = 0; h->extra && i < h->extra->n; i++)
		TRY(add_extra(&s, h->extra->v[i], h->gateway));
	for (size_t i = 0; h->others && i < h->others->n; i++)
		str_addf(&s, "%s\t%s\n", h->others->v[i].value, h->others->v[i].key);
	if (h->address && h->domainname && h->domainname[0])
		str_addf(&s, "%s\t%s.%s %s\n", h->address, h->hostname, h->domainname, h->hostname);
	else if (h->address)
		str_addf(&s, "%s\t%s\n", h->address, h->hostname);
	*ret = str_take(&s);
	return NULL;
}

/* ---- resolv.conf ---- */

struct resolv {
	struct strv servers, search, options;
};

static void own_resolv_release(struct resolv *r)
{
	strv_done(&r->servers);
	strv_done(&r->search);
	strv_done(&r->options);
}

static bool is_loopback(const char *address)
{
	return !strncmp(address, "127.", 4) || streq(address, "::1");
}

/* The rest of a line as a list; a later search line replaces an earlier one (resolv.conf(5)). */
static void take_words(struct strv *l, char **rest, bool replace)
{
	if (replace)
		strv_done(l);
	for (char *w = strtok_r(NULL, " \t\r", rest); w; w = strtok_r(NULL, " \t\r", rest))
		strv_add(l, w);
}

static void take_line(struct resolv *r, char *line, bool keep_loopback)
{
	char *rest = NULL;
	const char *key = strtok_r(line, " \t\r", &rest);

	if (!key)
		return;
	if (!strcmp(key, "nameserver")) {
		const char *address = strtok_r(NULL, " \t\r", &rest);

		if (address && (keep_loopback || !is_loopback(address)))
			strv_add(&r->servers, address);
	} else if (!strcmp(key, "search") || !strcmp(key, "domain")) {
		take_words(&r->search, &rest, true);
	} else if (!strcmp(key, "options")) {
		take_words(&r->options, &rest, false);
	}
}

static void override(struct strv *l, const struct strv *by)
{
	if (!by || !by->n)
		return;
	strv_done(l);
	strv_copy(l, by);
}

static void add_list(struct str *s, const char *key, const struct strv *l)
{
	if (!l->n)
		return;
	str_adds(s, key);
	for (size_t i = 0; i < l->n; i++)
		str_addf(s, " %s", l->v[i]);
	str_adds(s, "\n");
}

char *net_resolv_text(const struct net_resolv *r)
{
	OWN(resolv) struct resolv v = { 0 };
	OWN(mem) char *host = xstrdup(r->host ? r->host : "");
	OWN(str) struct str s = { 0 };
	char *rest = NULL;

	for (char *line = strtok_r(host, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (line[0] != '#' && line[0] != ';')
			take_line(&v, line, r->keep_loopback);
	override(&v.servers, r->dns);
	override(&v.search, r->search);
	override(&v.options, r->options);
	if (!v.servers.n) {
		strv_add(&v.servers, "8.8.8.8");
		strv_add(&v.servers, "8.8.4.4");
	}
	for (size_t i = 0; i < v.servers.n; i++)
		str_addf(&s, "nameserver %s\n", v.servers.v[i]);
	if (!(v.search.n == 1 && streq(v.search.v[0], ".")))
		add_list(&s, "search", &v.search);
	add_list(&s, "options", &v.options);
	return str_take(&s);
}
