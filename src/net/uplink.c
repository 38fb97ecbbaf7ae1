/* SPDX-License-Identifier: Apache-2.0 */
/* An interface of the host as a port of a network's bridge: what joins it to the world outside. */
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <string.h>

#include "net/net.h"
#include "net/nl_int.h"

struct link_facts {
	uint32_t master; /* index of the bridge it is a port of; 0: none */
	bool is_loopback;
};

static void take_link(void *arg, const struct nlmsghdr *h)
{
	struct link_facts *f = arg;
	const struct ifinfomsg *m = NLMSG_DATA(h);
	const struct rtattr *master = nl_attr(h, sizeof(*m), IFLA_MASTER);

	f->is_loopback = m->ifi_flags & IFF_LOOPBACK;
	if (master && RTA_PAYLOAD(master) >= sizeof(f->master))
		memcpy(&f->master, RTA_DATA(master), sizeof(f->master));
}

struct its_address {
	int index;
	struct net_prefix found; /* len 0: none */
};

static void take_address(void *arg, const struct nlmsghdr *h)
{
	struct its_address *a = arg;
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	const struct rtattr *local = nl_attr(h, sizeof(*m), IFA_LOCAL);
	uint32_t address;

	if ((int)m->ifa_index != a->index || !local || RTA_PAYLOAD(local) < sizeof(address))
		return;
	memcpy(&address, RTA_DATA(local), sizeof(address));
	a->found = (struct net_prefix) { ntohl(address), m->ifa_prefixlen };
}

struct err *net_uplink_check(const char *ifname, const char *bridge)
{
	static const struct ifaddrmsg all = { .ifa_family = AF_INET };
	struct its_address has = { 0 };
	struct link_facts facts = { 0 };
	char text[NET_ADDRESS_TEXT], master[IF_NAMESIZE] = "?";

	TRY(nl_index(ifname, &has.index));
	TRY(nl_get_link(has.index, take_link, &facts));
	if (facts.is_loopback)
		return err_new(ERR_DENIED, "%s leads nowhere: it is the loopback", ifname);
	if (facts.master && facts.master == if_nametoindex(bridge))
		return NULL;
	if (facts.master) {
		if_indextoname(facts.master, master);
		return err_new(ERR_DENIED, "%s is a port of %s already", ifname, master);
	}
	TRY(nl_dump(RTM_GETADDR, &all, sizeof(all), take_address, &has));
	if (!has.found.len)
		return NULL;
	return err_new(ERR_DENIED,
		       "%s has the address %s, which the host could not use any more: an uplink is "
		       "an interface without one",
		       ifname, net_prefix_text(&has.found, text));
}

struct err *net_uplink_attach(const char *ifname, const char *bridge)
{
	struct ifinfomsg up = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nl_batch b = { .len = 0 };
	int port = 0, master = 0;

	TRY(nl_index(ifname, &port));
	TRY(nl_index(bridge, &master));
	up.ifi_index = port;
	nl_add(&b, RTM_NEWLINK, 0, &up, sizeof(up), "join the bridge");
	nl_put_u32(&b, IFLA_MASTER, (uint32_t)master);
	return nl_run(&b);
}
