/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "net/nl_int.h"
#include "util/fd.h"
#include "util/mem.h"

/* ---- what the host uses already ---- */

struct used {
	int skip; /* index of our own bridge, 0: none */
	struct {
		struct net_prefix p;
		int index;
	} * v;
	size_t n;
	struct net_prefix own; /* address of @skip; len 0: none */
};

static void used_add(struct used *u, uint32_t address_be, int len, int index)
{
	u->v = xrealloc(u->v, u->n + 1, sizeof(*u->v));
	u->v[u->n].p = (struct net_prefix) { ntohl(address_be), len };
	u->v[u->n++].index = index;
}

static bool attr_u32(const struct rtattr *a, uint32_t *ret)
{
	if (!a || RTA_PAYLOAD(a) < sizeof(*ret))
		return false;
	memcpy(ret, RTA_DATA(a), sizeof(*ret));
	return true;
}

static void take_route(void *arg, const struct nlmsghdr *h)
{
	struct used *u = arg;
	const struct rtmsg *r = NLMSG_DATA(h);
	uint32_t destination = 0, index = 0;

	if (h->nlmsg_type != RTM_NEWROUTE || r->rtm_type == RTN_LOCAL ||
	    r->rtm_type == RTN_BROADCAST || r->rtm_type == RTN_MULTICAST)
		return;
	if (!attr_u32(nl_attr(h, sizeof(*r), RTA_DST), &destination))
		return; /* a default route */
	attr_u32(nl_attr(h, sizeof(*r), RTA_OIF), &index);
	if (!index || (int)index != u->skip)
		used_add(u, destination, r->rtm_dst_len, (int)index);
}

static void take_address(void *arg, const struct nlmsghdr *h)
{
	struct used *u = arg;
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	uint32_t address = 0;

	if (h->nlmsg_type != RTM_NEWADDR || !attr_u32(nl_attr(h, sizeof(*m), IFA_LOCAL), &address))
		return;
	if (u->skip && (int)m->ifa_index == u->skip)
		u->own = (struct net_prefix) { ntohl(address), m->ifa_prefixlen };
	else
		used_add(u, address, m->ifa_prefixlen, (int)m->ifa_index);
}

static void own_used_release(struct used *u)
{
	free(u->v);
}

static struct err *used_read(const char *bridge, struct used *u)
{
	static const struct rtmsg routes = { .rtm_family = AF_INET };
	static const struct ifaddrmsg addresses = { .ifa_family = AF_INET };
	struct err *e = nl_index(bridge, &u->skip);

	if (e && err_kind(e) != ERR_NOT_FOUND)
		return e;
	err_free(e);
	TRY(nl_dump(RTM_GETROUTE, &routes, sizeof(routes), take_route, u));
	return nl_dump(RTM_GETADDR, &addresses, sizeof(addresses), take_address, u);
}

struct err *net_subnet_choose(const char *bridge, const struct net_prefix *others, size_t n,
			      struct net_prefix *ret)
{
	OWN(used) struct used u = { 0 };

	TRY_MSG(used_read(bridge, &u), "read the host's routes");
	if (u.own.len) {
		*ret = u.own;
		return NULL;
	}

	OWN(mem) struct net_prefix *p = xcalloc(u.n + n + 1, sizeof(*p));

	for (size_t i = 0; i < u.n; i++)
		p[i] = u.v[i].p;
	for (size_t i = 0; i < n; i++)
		p[u.n + i] = others[i];
	return net_subnet_pick(p, u.n + n, ret);
}

struct err *net_subnet_check(const char *bridge, const struct net_prefix *subnet)
{
	OWN(used) struct used u = { 0 };
	char a[NET_ADDRESS_TEXT], b[NET_ADDRESS_TEXT], name[IF_NAMESIZE] = "";

	TRY_MSG(used_read(bridge, &u), "read the host's routes");
	for (size_t i = 0; i < u.n; i++) {
		if (!net_prefixes_overlap(&u.v[i].p, subnet))
			continue;
		if (!if_indextoname((unsigned)u.v[i].index, name))
			snprintf(name, sizeof(name), "no interface");
		return err_new(ERR_EXISTS, "%s overlaps the host's route %s (%s)",
			       net_prefix_text(subnet, a), net_prefix_text(&u.v[i].p, b), name);
	}
	return NULL;
}

/* ---- the bridge ---- */

/* With a MAC of its own: one borrowed from its ports would change as they come and go. */
static struct err *make_bridge(const char *bridge, uint32_t address)
{
	static const struct ifinfomsg up = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nl_batch b = { .len = 0 };
	uint8_t mac[NET_MAC_LEN];

	net_mac_from_address(address, mac);
	nl_add(&b, RTM_NEWLINK, NLM_F_CREATE, &up, sizeof(up), "make bridge");
	nl_put_text(&b, IFLA_IFNAME, bridge);
	nl_put(&b, IFLA_ADDRESS, mac, sizeof(mac));

	size_t info = nl_nest(&b, IFLA_LINKINFO);

	nl_put_text(&b, IFLA_INFO_KIND, "bridge");
	nl_nest_end(&b, info);
	return nl_run(&b);
}

static struct err *set_address(const char *bridge, const struct net_prefix *p)
{
	struct ifaddrmsg head = { .ifa_family = AF_INET, .ifa_prefixlen = (uint8_t)p->len };
	struct nl_batch b = { .len = 0 };
	int index = 0;

	TRY(nl_index(bridge, &index));
	head.ifa_index = (uint32_t)index;
	nl_add(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head), "set address");
	nl_put_u32(&b, IFA_LOCAL, htonl(p->address));
	nl_put_u32(&b, IFA_ADDRESS, htonl(p->address));
	nl_put_u32(&b, IFA_BROADCAST, htonl(p->address | ~net_mask(p->len)));
	return nl_run(&b);
}

static struct err *switch_on(const char *path)
{
	OWN(fd) int fd = open(path, O_RDWR | O_CLOEXEC);
	char was = 0;

	if (fd < 0)
		return err_sys(errno, "open %s", path);
	if (pread(fd, &was, 1, 0) == 1 && was == '1')
		return NULL; /* /proc/sys may be read-only, and right already */
	if (pwrite(fd, "1", 1, 0) != 1)
		return err_sys(errno, "write %s", path);
	return NULL;
}

struct err *net_bridge_ensure(const char *bridge, const struct net_prefix *address)
{
	char path[sizeof("/proc/sys/net/ipv4/conf//route_localnet") + IFNAMSIZ];

	if (!bridge[0] || strlen(bridge) >= IFNAMSIZ || strpbrk(bridge, "/ :"))
		return err_new(ERR_INVALID, "\"%s\" is no name for a bridge", bridge);
	TRY_MSG(make_bridge(bridge, address->address), "bridge %s", bridge);
	TRY_MSG(set_address(bridge, address), "bridge %s", bridge);
	TRY(switch_on("/proc/sys/net/ipv4/ip_forward"));
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/route_localnet", bridge);
	return switch_on(path);
}
