/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <sched.h>
#include <stdlib.h>

#include "net/net.h"
#include "net/nl_int.h"
#include "util/fd.h"

#define LO_INDEX 1

static void add_up(struct nl_batch *b, int index)
{
	const struct ifinfomsg up = { .ifi_index = index,
				      .ifi_flags = IFF_UP,
				      .ifi_change = IFF_UP };

	nl_add(b, RTM_NEWLINK, 0, &up, sizeof(up), "set link up");
}

/* MAC and MTU, which must be set while the link is down. */
static void add_device(struct nl_batch *b, int index, const struct net_config *c)
{
	const struct ifinfomsg same = { .ifi_index = index };

	if (!c->has_mac && !c->mtu)
		return;
	nl_add(b, RTM_NEWLINK, 0, &same, sizeof(same), "set MAC and MTU");
	if (c->has_mac)
		nl_put(b, IFLA_ADDRESS, c->mac, NET_MAC_LEN);
	if (c->mtu)
		nl_put_u32(b, IFLA_MTU, (uint32_t)c->mtu);
	nl_fine(b, EBUSY); /* it is up: a second call */
}

/* No IPv6 address of its own making: the bridge has no IPv6, and its detection takes a second. */
static void add_no_ipv6(struct nl_batch *b, int index)
{
	const struct ifinfomsg same = { .ifi_index = index };
	const uint8_t none = IN6_ADDR_GEN_MODE_NONE;

	nl_add(b, RTM_NEWLINK, 0, &same, sizeof(same), "set IPv6 address mode");
	nl_fine(b, EAFNOSUPPORT); /* a kernel without IPv6 */
	nl_fine(b, EINVAL);

	size_t spec = nl_nest(b, IFLA_AF_SPEC);
	size_t inet6 = nl_nest(b, AF_INET6);

	nl_put(b, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof(none));
	nl_nest_end(b, inet6);
	nl_nest_end(b, spec);
}

static void add_address(struct nl_batch *b, int index, const struct net_prefix *p)
{
	const struct ifaddrmsg head = { .ifa_family = AF_INET,
					.ifa_prefixlen = (uint8_t)p->len,
					.ifa_index = (uint32_t)index };

	nl_add(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head), "set address");
	nl_put_u32(b, IFA_LOCAL, htonl(p->address));
	nl_put_u32(b, IFA_ADDRESS, htonl(p->address));
	nl_put_u32(b, IFA_BROADCAST, htonl(p->address | ~net_mask(p->len)));
}

static void add_default_route(struct nl_batch *b, uint32_t gateway)
{
	const struct rtmsg head = { .rtm_family = AF_INET,
				    .rtm_table = RT_TABLE_MAIN,
				    .rtm_protocol = RTPROT_BOOT,
				    .rtm_scope = RT_SCOPE_UNIVERSE,
				    .rtm_type = RTN_UNICAST };

	nl_add(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head),
	       "set default route");
	nl_put_u32(b, RTA_GATEWAY, htonl(gateway));
}

static void add_interface(struct nl_batch *b, int index, const struct net_config *c)
{
	add_device(b, index, c);
	add_no_ipv6(b, index);
	add_up(b, index);
	if (c->address.len)
		add_address(b, index, &c->address);
	if (c->gateway)
		add_default_route(b, c->gateway);
}

struct err *net_configure(const struct net_config *c)
{
	struct nl_batch b = { .len = 0 };
	int index = 0;

	add_up(&b, LO_INDEX);
	if (c->ifname[0]) {
		TRY(nl_index(c->ifname, &index));
		add_interface(&b, index, c);
	}
	TRY_MSG(nl_run(&b), "network of %s", c->ifname[0] ? c->ifname : "lo");
	return NULL;
}

struct err *net_reconfigure(const struct net_config *old, const struct net_config *c)
{
	struct nl_batch b = { .len = 0 };
	const struct ifinfomsg down = { .ifi_change = IFF_UP };
	struct ifinfomsg link = down;
	struct ifaddrmsg head = { .ifa_family = AF_INET,
				  .ifa_prefixlen = (uint8_t)old->address.len };
	int index = 0;

	if (!old->ifname[0])
		return net_configure(c);
	TRY(nl_index(old->ifname, &index));
	link.ifi_index = index;
	nl_add(&b, RTM_NEWLINK, 0, &link, sizeof(link), "set link down");
	head.ifa_index = (uint32_t)index;
	if (old->address.len) {
		nl_add(&b, RTM_DELADDR, 0, &head, sizeof(head), "remove address");
		nl_put_u32(&b, IFA_LOCAL, htonl(old->address.address));
		nl_fine(&b, EADDRNOTAVAIL); /* whoever is inside removed it */
	}
	TRY_MSG(nl_run(&b), "network of %s", old->ifname);
	return net_configure(c);
}

struct err *net_configure_at(const struct net_config *c, int netns_fd)
{
	OWN(fd) int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct err *e;

	if (own < 0)
		return err_sys(errno, "open own network namespace");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_sys(errno, "go to the instance's network namespace");
	e = net_configure(c);
	/* Whatever came next would be done to the instance's network. */
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	return e;
}
