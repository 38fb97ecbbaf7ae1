/* SPDX-License-Identifier: Apache-2.0 */
#include "nft/nft.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <stdbool.h>
#include <string.h>

#include "nft/nft_int.h"
#include "util/mem.h"

struct nft {
	struct nft_ctx *ctx;
	char *table;
	struct strv bridges; /* from which something may be forwarded */
};

/* ---- text; pure ---- */

static bool is_word(const char *s, const char *more)
{
	size_t n = strlen(s);

	if (!n || n > 63 || !isalpha((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(more, s[i]))
			return false;
	return true;
}

static bool is_address(const char *text)
{
	struct in_addr a;

	return text && inet_pton(AF_INET, text, &a) == 1;
}

static bool is_any(const char *address)
{
	return !address || !address[0] || streq(address, "0.0.0.0");
}

/* All text comes from the plan, but none of it may ever become a rule. */
static struct err *check_port(const struct nft_port *p)
{
	if (!streq(p->proto, "tcp") && !streq(p->proto, "udp"))
		return err_new(ERR_INVALID, "publish: protocol %s", p->proto ? p->proto : "");
	if (p->host_port < 1 || p->host_port > 65535 || p->port < 1 || p->port > 65535)
		return err_new(ERR_INVALID, "publish: port %d to %d", p->host_port, p->port);
	if (!is_address(p->address) || (!is_any(p->host_address) && !is_address(p->host_address)))
		return err_new(ERR_INVALID, "publish: not an IPv4 address");
	return NULL;
}

static void add_element(struct str *s, const struct nft_port *p)
{
	if (!is_any(p->host_address))
		str_addf(s, "%s . ", p->host_address);
	str_addf(s, "%s . %d : %s . %d", p->proto, p->host_port, p->address, p->port);
}

struct err *nft_elements_text(const char *table, const char *verb, const struct nft_port *ports,
			      size_t n, struct str *s)
{
	for (size_t i = 0; i < n; i++) {
		TRY(check_port(&ports[i]));
		str_addf(s, "%s element ip %s %s { ", verb, table,
			 is_any(ports[i].host_address) ? "ports" : "addr_ports");
		add_element(s, &ports[i]);
		str_adds(s, " }\n");
	}
	return NULL;
}

/*
 * guard runs before connection tracking: there, an answer to a connection from the host's
 * loopback still names the bridge's address, so that whatever names 127/8 was forged.
 */
static const char rules[] =
    "	map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
    "	map addr_ports {\n"
    "		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service;\n"
    "	}\n"
    "	set bridges { type ifname; }\n"
    "	set internal { type ifname; }\n"
    "	set within { type ifname . ifname; }\n"
    "	set subnets { type ifname . ipv4_addr; flags interval; }\n"
    "	set outward { type ipv4_addr; flags interval; }\n"
    "	chain guard {\n"
    "		type filter hook prerouting priority raw; policy accept;\n"
    "		iifname @bridges ip daddr 127.0.0.0/8 drop\n"
    "	}\n"
    "	chain publish {\n"
    "		dnat ip to ip daddr . meta l4proto . th dport map @addr_ports\n"
    "		dnat ip to meta l4proto . th dport map @ports\n"
    "	}\n"
    "	chain prerouting {\n"
    "		type nat hook prerouting priority dstnat; policy accept;\n"
    "		fib daddr type local jump publish\n"
    "	}\n"
    "	chain output {\n"
    "		type nat hook output priority -100; policy accept;\n"
    "		fib daddr type local jump publish\n"
    "	}\n"
    "	chain forward {\n"
    "		type filter hook forward priority filter; policy accept;\n"
    "		iifname . oifname @within accept\n"
    "		iifname @internal drop\n"
    "		oifname @internal drop\n"
    "		ct status dnat accept\n"
    "		iifname @bridges oifname @bridges drop\n"
    "	}\n"
    "	chain postrouting {\n"
    "		type nat hook postrouting priority srcnat; policy accept;\n"
    "		oifname . ip saddr @subnets ct status dnat masquerade\n"
    "		oifname @bridges ip saddr 127.0.0.0/8 ct status dnat masquerade\n"
    "		oifname . ip saddr @subnets accept\n"
    "		ip saddr @outward masquerade\n"
    "	}\n";

void nft_ruleset_text(const char *t, struct str *s)
{
	str_addf(s, "add table ip %s\ndelete table ip %s\ntable ip %s {\n%s}\n", t, t, t, rules);
}

static struct err *check_network(const struct nft_network *net)
{
	OWN(mem) char *address = xstrndup(net->subnet, strcspn(net->subnet, "/"));

	if (!is_address(address) || strspn(net->subnet, "0123456789./") != strlen(net->subnet))
		return err_new(ERR_INVALID, "\"%s\" is no subnet", net->subnet);
	if (!is_word(net->bridge, "_-."))
		return err_new(ERR_INVALID, "\"%s\" is no name for a bridge", net->bridge);
	return NULL;
}

struct err *nft_network_text(const char *table, const char *verb, const struct nft_network *net,
			     struct str *s)
{
	const char *b = net->bridge;

	TRY(check_network(net));
	str_addf(s, "%s element ip %s bridges { \"%s\" }\n", verb, table, b);
	str_addf(s, "%s element ip %s within { \"%s\" . \"%s\" }\n", verb, table, b, b);
	str_addf(s, "%s element ip %s subnets { \"%s\" . %s }\n", verb, table, b, net->subnet);
	if (net->is_internal)
		str_addf(s, "%s element ip %s internal { \"%s\" }\n", verb, table, b);
	else if (!net->keeps_source)
		str_addf(s, "%s element ip %s outward { %s }\n", verb, table, net->subnet);
	return NULL;
}

/* ---- a closed forward chain of others; pure ---- */

bool nft_forward_is_closed(const char *listing)
{
	return strstr(listing, "policy drop;") != NULL;
}

/* The handle at the end of a line that carries our comment; 0: none. */
static long own_handle(const char *line, size_t len, const char *mark)
{
	OWN(mem) char *text = xstrndup(line, len);
	const char *comment = strstr(text, mark);
	const char *handle = comment ? strstr(comment, "# handle ") : NULL;

	return handle ? strtol(handle + strlen("# handle "), NULL, 10) : 0;
}

static void add_deletions(const char *mark, const char *listing, struct str *s)
{
	for (const char *at = listing; *at;) {
		size_t len = strcspn(at, "\n");
		long handle = own_handle(at, len, mark);

		if (handle > 0)
			str_addf(s, "delete rule " FORWARD_CHAIN " handle %ld\n", handle);
		at += len + (at[len] != '\0');
	}
}

static void add_accepts(const char *bridge, const char *mark, struct str *s)
{
	str_addf(s,
		 "insert rule " FORWARD_CHAIN " iifname \"%s\" accept %s\n"
		 "insert rule " FORWARD_CHAIN
		 " oifname \"%s\" ct state established,related accept %s\n"
		 "insert rule " FORWARD_CHAIN " oifname \"%s\" ct status dnat accept %s\n",
		 bridge, mark, bridge, mark, bridge, mark);
}

void nft_forward_text(const char *table, const struct strv *bridges, const char *listing,
		      struct str *s)
{
	OWN(mem) char *mark = xasprintf("comment \"hostel %s\"", table);

	add_deletions(mark, listing, s);
	for (size_t i = 0; i < bridges->n; i++)
		add_accepts(bridges->v[i], mark, s);
}

/* ---- kernel ---- */

/* The first line of what libnftables says: "/dev/stdin:1:1-5: Error: Could not …: File exists". */
static struct err *failure(const char *text)
{
	OWN(mem) char *line = xstrndup(text, strcspn(text, "\n"));
	const char *error = strstr(line, "Error: ");
	const char *what = error ? error + strlen("Error: ") : line;

	if (strstr(what, "File exists"))
		return err_make(ERR_EXISTS, EEXIST, __func__, "nftables: %s", what);
	if (strstr(what, "not permitted"))
		return err_make(ERR_DENIED, EPERM, __func__, "nftables: %s", what);
	if (strstr(what, "not supported") || strstr(what, "cache initialization failed"))
		return err_new(ERR_UNSUPPORTED, "nftables: %s", what);
	return err_new(ERR_INTERNAL, "nftables: %s", what);
}

static struct err *run(struct nft *n, const char *text)
{
	int r = nft_run_cmd_from_buffer(n->ctx, text);
	const char *error = nft_ctx_get_error_buffer(n->ctx);

	nft_ctx_get_output_buffer(n->ctx); /* reading it empties it */
	return r ? failure(error ? error : "") : NULL;
}

/* NULL: there is no such chain. */
static char *list_forward(struct nft *n)
{
	const char *text;
	int r;

	nft_ctx_output_set_flags(n->ctx, NFT_CTX_OUTPUT_HANDLE);
	r = nft_run_cmd_from_buffer(n->ctx, "list chain " FORWARD_CHAIN);
	nft_ctx_output_set_flags(n->ctx, 0);
	nft_ctx_get_error_buffer(n->ctx);
	text = nft_ctx_get_output_buffer(n->ctx);
	return r || !text ? NULL : xstrdup(text);
}

/*
 * Docker and most firewalls drop what is forwarded unless a rule of theirs accepts it, and one
 * drop is final whatever our table says: there, and only there, we put rules beside theirs.
 */
static struct err *open_forward(struct nft *n)
{
	OWN(mem) char *listing = list_forward(n);
	OWN(str) struct str s = { 0 };
	const struct strv none = { 0 };

	if (!listing)
		return NULL;
	nft_forward_text(n->table, nft_forward_is_closed(listing) ? &n->bridges : &none, listing,
			 &s);
	if (s.len)
		TRY_MSG(run(n, s.buf), "chain " FORWARD_CHAIN);
	return NULL;
}

struct err *nft_open(const char *table, struct nft **ret)
{
	OWN(nft) struct nft *n = NULL;

	if (!is_word(table, "_"))
		return err_new(ERR_INVALID, "\"%s\" is no name for an nftables table", table);
	n = xnew(struct nft);
	n->table = xstrdup(table);
	n->ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!n->ctx)
		return err_new(ERR_UNSUPPORTED, "nftables cannot be opened");
	nft_ctx_buffer_output(n->ctx);
	nft_ctx_buffer_error(n->ctx);
	*ret = TAKE(n);
	return NULL;
}

void nft_close(struct nft *n)
{
	if (!n)
		return;
	if (n->ctx)
		nft_ctx_free(n->ctx);
	free(n->table);
	strv_done(&n->bridges);
	free(n);
}

static void note_bridge(struct nft *n, const struct nft_network *net)
{
	if (!net->is_internal && !strv_has(&n->bridges, net->bridge))
		strv_add(&n->bridges, net->bridge);
}

struct err *nft_setup(struct nft *n, const struct nft_network *networks, size_t n_networks,
		      const struct nft_port *ports, size_t n_ports)
{
	OWN(str) struct str s = { 0 };

	nft_ruleset_text(n->table, &s);
	for (size_t i = 0; i < n_networks; i++)
		TRY(nft_network_text(n->table, "add", &networks[i], &s));
	TRY(nft_elements_text(n->table, "add", ports, n_ports, &s));
	TRY_MSG(run(n, s.buf), "set up table %s", n->table);
	strv_done(&n->bridges);
	for (size_t i = 0; i < n_networks; i++)
		note_bridge(n, &networks[i]);
	return open_forward(n);
}

struct err *nft_network_add(struct nft *n, const struct nft_network *net)
{
	OWN(str) struct str s = { 0 };

	TRY(nft_network_text(n->table, "add", net, &s));
	TRY_MSG(run(n, s.buf), "add %s to table %s", net->bridge, n->table);
	note_bridge(n, net);
	return open_forward(n);
}

static void forget_bridge(struct nft *n, const char *bridge)
{
	OWN(strv) struct strv left = { 0 };

	for (size_t i = 0; i < n->bridges.n; i++)
		if (!streq(n->bridges.v[i], bridge))
			strv_add(&left, n->bridges.v[i]);
	strv_done(&n->bridges);
	strv_copy(&n->bridges, &left);
}

struct err *nft_network_remove(struct nft *n, const struct nft_network *net)
{
	OWN(str) struct str s = { 0 };

	/* As with ports: what is absent is made present first. */
	TRY(nft_network_text(n->table, "add", net, &s));
	TRY(nft_network_text(n->table, "delete", net, &s));
	TRY_MSG(run(n, s.buf), "remove %s from table %s", net->bridge, n->table);
	forget_bridge(n, net->bridge);
	return open_forward(n);
}

struct err *nft_publish(struct nft *n, const struct nft_port *ports, size_t n_ports)
{
	OWN(str) struct str s = { 0 };

	TRY(nft_elements_text(n->table, "add", ports, n_ports, &s));
	if (n_ports)
		TRY_MSG(run(n, s.buf), "publish");
	return NULL;
}

struct err *nft_unpublish(struct nft *n, const struct nft_port *ports, size_t n_ports)
{
	OWN(str) struct str s = { 0 };

	/* Deleting an absent element fails the transaction; adding it first makes it present. */
	TRY(nft_elements_text(n->table, "add", ports, n_ports, &s));
	TRY(nft_elements_text(n->table, "delete", ports, n_ports, &s));
	if (n_ports)
		TRY_MSG(run(n, s.buf), "unpublish");
	return NULL;
}

struct err *nft_teardown(struct nft *n)
{
	OWN(mem) char *listing = list_forward(n);
	OWN(str) struct str s = { 0 };

	if (listing)
		nft_forward_text(n->table, &(struct strv) { 0 }, listing, &s);
	str_addf(&s, "add table ip %s\ndelete table ip %s\n", n->table, n->table);
	TRY_MSG(run(n, s.buf), "remove table %s", n->table);
	return NULL;
}
