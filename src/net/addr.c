/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "net/net.h"
#include "util/mem.h"
#include "util/num.h"

struct err *net_parse_address(const char *text, uint32_t *ret)
{
	struct in_addr a;

	if (!text || inet_pton(AF_INET, text, &a) != 1)
		return err_new(ERR_INVALID, "\"%s\" is no IPv4 address", text ? text : "");
	*ret = ntohl(a.s_addr);
	return NULL;
}

struct err *net_parse_prefix(const char *text, struct net_prefix *ret)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	struct net_prefix p;
	int64_t len = 0;

	if (!slash)
		return err_new(ERR_INVALID, "\"%s\" is no ADDRESS/LENGTH", text ? text : "");

	OWN(mem) char *address = xstrndup(text, (size_t)(slash - text));

	TRY(net_parse_address(address, &p.address));
	TRY_MSG(num_parse_i64(slash + 1, 0, 32, &len), "prefix length of %s", text);
	p.len = (int)len;
	*ret = p;
	return NULL;
}

struct err *net_parse_mac(const char *text, uint8_t ret[NET_MAC_LEN])
{
	unsigned b[NET_MAC_LEN];
	int end = 0;

	if (!text ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != NET_MAC_LEN ||
	    end != NET_MAC_TEXT - 1 || text[end])
		return err_new(ERR_INVALID, "\"%s\" is no MAC address", text ? text : "");
	if (b[0] & 1)
		return err_new(ERR_INVALID, "%s is a multicast address", text);
	for (int i = 0; i < NET_MAC_LEN; i++)
		ret[i] = (uint8_t)b[i];
	return NULL;
}

const char *net_address_text(uint32_t address, char *buf)
{
	snprintf(buf, NET_ADDRESS_TEXT, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
		 address >> 8 & 255, address & 255);
	return buf;
}

const char *net_prefix_text(const struct net_prefix *p, char *buf)
{
	size_t n = strlen(net_address_text(p->address, buf));

	snprintf(buf + n, NET_ADDRESS_TEXT - n, "/%d", p->len);
	return buf;
}

const char *net_mac_text(const uint8_t m[NET_MAC_LEN], char *buf)
{
	snprintf(buf, NET_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	return buf;
}

uint32_t net_mask(int len)
{
	return len <= 0 ? 0 : ~0U << (32 - len);
}

bool net_prefix_has(const struct net_prefix *p, uint32_t address)
{
	return !((p->address ^ address) & net_mask(p->len));
}

bool net_prefixes_overlap(const struct net_prefix *a, const struct net_prefix *b)
{
	const struct net_prefix *wider = a->len < b->len ? a : b;

	return net_prefix_has(wider, wider == a ? b->address : a->address);
}

void net_mac_from_address(uint32_t address, uint8_t ret[NET_MAC_LEN])
{
	uint32_t be = htonl(address);

	ret[0] = 0x02; /* locally administered */
	ret[1] = 0x42;
	memcpy(ret + 2, &be, sizeof(be));
}

void net_ifname(const char *id, char ret[IFNAMSIZ])
{
	snprintf(ret, IFNAMSIZ, "hv%.10s", id);
}

void net_ifname_at(const char *id, unsigned n, char ret[IFNAMSIZ])
{
	net_ifname(id, ret);
	if (n)
		snprintf(ret, IFNAMSIZ, "hv%.10sn%u", id, n % 100);
}

/* Ranges to take bridges from: @n prefixes of length @len, one after the other. */
static const struct {
	uint32_t first;
	int len, n;
} candidates[] = {
	{ 0x0a580000, 16, 168 }, /* 10.88 to 10.255 */
	{ 0xac100000, 16, 16 },  /* 172.16 to 172.31 */
	{ 0xc0a80000, 24, 256 }, /* 192.168.0 to 192.168.255 */
};

static bool is_used(const struct net_prefix *used, size_t n, const struct net_prefix *p)
{
	for (size_t i = 0; i < n; i++)
		if (used[i].len && net_prefixes_overlap(&used[i], p))
			return true;
	return false;
}

struct err *net_subnet_pick(const struct net_prefix *used, size_t n, struct net_prefix *ret)
{
	for (size_t c = 0; c < ARRAY_SIZE(candidates); c++) {
		for (int i = 0; i < candidates[c].n; i++) {
			int len = candidates[c].len;
			struct net_prefix p = {
				.address = candidates[c].first + ((uint32_t)i << (32 - len)) + 1,
				.len = len,
			};

			if (is_used(used, n, &p))
				continue;
			*ret = p;
			return NULL;
		}
	}
	return err_new(ERR_LIMIT, "every private address range overlaps a route of the host; "
				  "set \"subnet\" in the configuration");
}

struct err *net_address_pick(const struct net_prefix *bridge, uint32_t after,
			     bool (*used)(void *arg, uint32_t address), void *arg, uint32_t *ret)
{
	uint32_t network = bridge->address & net_mask(bridge->len);
	uint32_t broadcast = network | ~net_mask(bridge->len);
	uint32_t at = after > network && after < broadcast ? after : network;
	char text[NET_ADDRESS_TEXT];

	for (uint32_t i = network + 1; i < broadcast; i++) {
		at = at + 1 < broadcast ? at + 1 : network + 1;
		if (at != bridge->address && !used(arg, at)) {
			*ret = at;
			return NULL;
		}
	}
	return err_new(ERR_LIMIT, "no free address in %s",
		       net_prefix_text(&(struct net_prefix) { network, bridge->len }, text));
}
