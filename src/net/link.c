/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_tun.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/net.h"
#include "net/nl_int.h"
#include "util/fd.h"

#define MTU_DEFAULT 1500

static const struct ifinfomsg link_up = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

static uint32_t link_mtu(const struct net_link *l)
{
	return l->mtu ? (uint32_t)l->mtu : MTU_DEFAULT;
}

/* One queue each way: an instance's veth needs no queue per cpu of the host. */
static void put_common(struct nl_batch *b, const char *name, uint32_t mtu)
{
	nl_put_text(b, IFLA_IFNAME, name);
	nl_put_u32(b, IFLA_MTU, mtu);
	nl_put_u32(b, IFLA_NUM_TX_QUEUES, 1);
	nl_put_u32(b, IFLA_NUM_RX_QUEUES, 1);
}

static void put_peer(struct nl_batch *b, const struct net_link *l, int ns_type, uint32_t ns)
{
	const struct ifinfomsg down = { 0 };
	size_t info = nl_nest(b, IFLA_LINKINFO);

	nl_put_text(b, IFLA_INFO_KIND, "veth");

	size_t data = nl_nest(b, IFLA_INFO_DATA);
	size_t peer = nl_nest(b, VETH_INFO_PEER);

	nl_raw(b, &down, sizeof(down));
	put_common(b, l->ifname, link_mtu(l));
	nl_put(b, IFLA_ADDRESS, l->mac, NET_MAC_LEN);
	nl_put_u32(b, ns_type, ns);
	nl_nest_end(b, peer);
	nl_nest_end(b, data);
	nl_nest_end(b, info);
}

/*
 * Let an instance reach itself by a port that it published: with br_netfilter the bridge itself
 * rewrites the packet, and may then have to send it out where it came from.
 */
static void add_hairpin(struct nl_batch *b, const char *host_ifname)
{
	static const struct ifinfomsg any = { 0 };
	const uint8_t on = 1;

	nl_add(b, RTM_NEWLINK, 0, &any, sizeof(any), "set hairpin");
	nl_put_text(b, IFLA_IFNAME, host_ifname);

	size_t info = nl_nest(b, IFLA_LINKINFO);

	nl_put_text(b, IFLA_INFO_SLAVE_KIND, "bridge");

	size_t data = nl_nest(b, IFLA_INFO_SLAVE_DATA);

	nl_put(b, IFLA_BRPORT_MODE, &on, sizeof(on));
	nl_nest_end(b, data);
	nl_nest_end(b, info);
}

struct err *net_link_set_up(const char *host_ifname, bool on)
{
	const struct ifinfomsg change = { .ifi_flags = on ? IFF_UP : 0, .ifi_change = IFF_UP };
	struct nl_batch b = { .len = 0 };

	nl_add(&b, RTM_NEWLINK, 0, &change, sizeof(change), on ? "set up" : "set down");
	nl_put_text(&b, IFLA_IFNAME, host_ifname);
	TRY_MSG(nl_run(&b), "link %s", host_ifname);
	return NULL;
}

/* By the bridge's own family: among the slave's data the kernel passes over the state. */
struct err *net_link_hold(const char *host_ifname, bool on)
{
	struct ifinfomsg port = { .ifi_family = AF_BRIDGE };
	const uint8_t state = on ? BR_STATE_DISABLED : BR_STATE_FORWARDING;
	struct nl_batch b = { .len = 0 };
	OWN(err) struct err *e = nl_index(host_ifname, &port.ifi_index);

	if (e)
		return err_kind(e) == ERR_NOT_FOUND ? NULL : TAKE(e);
	nl_add(&b, RTM_SETLINK, 0, &port, sizeof(port),
	       on ? "hold its packets" : "let its packets through");
	nl_fine(&b, ENODEV);

	size_t info = nl_nest(&b, IFLA_PROTINFO | NLA_F_NESTED);

	nl_put(&b, IFLA_BRPORT_STATE, &state, sizeof(state));
	nl_nest_end(&b, info);
	TRY_MSG(nl_run(&b), "link %s", host_ifname);
	return NULL;
}

static struct err *new_veth(const struct net_link *l, int bridge, int ns_type, uint32_t ns)
{
	struct nl_batch b = { .len = 0 };

	nl_add(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link_up, sizeof(link_up), "make veth");
	put_common(&b, l->host_ifname, link_mtu(l));
	nl_put_u32(&b, IFLA_MASTER, (uint32_t)bridge);
	put_peer(&b, l, ns_type, ns);
	add_hairpin(&b, l->host_ifname);
	return nl_run(&b);
}

/* Shape a link that was just made; take it away again when that fails. */
static struct err *shape_new(const struct net_link *l)
{
	struct err *e = NULL;

	if (l->ingress_bps || l->egress_bps)
		e = rate_set(l->host_ifname, l->ingress_bps, l->egress_bps, true);
	if (e)
		err_free(net_link_delete(l->host_ifname));
	return e;
}

static struct err *veth_create(const struct net_link *l, int ns_type, uint32_t ns)
{
	int bridge = 0;

	TRY(nl_index(l->bridge, &bridge));

	struct err *e = new_veth(l, bridge, ns_type, ns);

	/* Of the instance's last run: its namespace is taken apart in the background. */
	if (e && err_errno(e) == EEXIST) {
		err_free(e);
		TRY(net_link_delete(l->host_ifname));
		e = new_veth(l, bridge, ns_type, ns);
	}
	TRY_MSG(e, "link %s", l->host_ifname);
	TRY_MSG(shape_new(l), "limit %s", l->host_ifname);
	return NULL;
}

struct err *net_veth_create(const struct net_link *l, pid_t netns_pid)
{
	return veth_create(l, IFLA_NET_NS_PID, (uint32_t)netns_pid);
}

struct err *net_veth_create_at(const struct net_link *l, int netns_fd)
{
	return veth_create(l, IFLA_NET_NS_FD, (uint32_t)netns_fd);
}

static struct err *open_tun(const char *name, int *ret_fd)
{
	OWN(fd) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return err_new(ERR_UNSUPPORTED, "this host has no /dev/net/tun");
	if (fd < 0)
		return err_sys(errno, "open /dev/net/tun");
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &r) < 0)
		return err_sys(errno, "make tap %s", name);
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

static struct err *attach_tap(const struct net_link *l, int bridge)
{
	struct nl_batch b = { .len = 0 };

	nl_add(&b, RTM_NEWLINK, 0, &link_up, sizeof(link_up), "put tap on the bridge");
	nl_put_text(&b, IFLA_IFNAME, l->host_ifname);
	nl_put_u32(&b, IFLA_MTU, link_mtu(l));
	nl_put_u32(&b, IFLA_MASTER, (uint32_t)bridge);
	add_hairpin(&b, l->host_ifname);
	return nl_run(&b);
}

struct err *net_tap_open(const struct net_link *l, int *ret_fd)
{
	OWN(fd) int fd = -1;
	int bridge = 0;

	TRY(nl_index(l->bridge, &bridge));
	TRY(open_tun(l->host_ifname, &fd));
	TRY_MSG(attach_tap(l, bridge), "link %s", l->host_ifname);
	TRY_MSG(shape_new(l), "limit %s", l->host_ifname);
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

struct err *net_set_rates(const struct net_link *l)
{
	return rate_set(l->host_ifname, l->ingress_bps, l->egress_bps, false);
}

static void add_delete(struct nl_batch *b, const char *name)
{
	const struct ifinfomsg any = { 0 };

	nl_add(b, RTM_DELLINK, 0, &any, sizeof(any), "delete link");
	nl_put_text(b, IFLA_IFNAME, name);
	nl_fine(b, ENODEV);
}

struct err *net_link_delete(const char *host_ifname)
{
	struct nl_batch b = { .len = 0 };
	char ifb[IFNAMSIZ];

	rate_ifb_name(host_ifname, ifb);
	add_delete(&b, host_ifname);
	add_delete(&b, ifb);
	TRY_MSG(nl_run(&b), "link %s", host_ifname);
	return NULL;
}

struct err *net_bridge_delete(const char *bridge)
{
	struct nl_batch b = { .len = 0 };

	add_delete(&b, bridge);
	TRY_MSG(nl_run(&b), "bridge %s", bridge);
	return NULL;
}

struct stats_search {
	bool found;
	struct rtnl_link_stats64 s;
};

static void take_stats(void *arg, const struct nlmsghdr *h)
{
	struct stats_search *s = arg;
	const struct rtattr *a = nl_attr(h, sizeof(struct ifinfomsg), IFLA_STATS64);

	if (h->nlmsg_type != RTM_NEWLINK || !a)
		return;
	memcpy(&s->s, RTA_DATA(a), RTA_PAYLOAD(a) < sizeof(s->s) ? RTA_PAYLOAD(a) : sizeof(s->s));
	s->found = true;
}

struct err *net_link_stats(const char *host_ifname, struct net_stats *ret)
{
	struct stats_search s = { .found = false };
	int index = 0;

	TRY(nl_index(host_ifname, &index));
	TRY(nl_get_link(index, take_stats, &s));
	if (!s.found)
		return err_new(ERR_NOT_FOUND, "no network interface %s", host_ifname);
	/* What the host's end sends is what the instance receives. */
	*ret = (struct net_stats) {
		.rx_bytes = s.s.tx_bytes,
		.rx_packets = s.s.tx_packets,
		.rx_errors = s.s.tx_errors,
		.rx_dropped = s.s.tx_dropped,
		.tx_bytes = s.s.rx_bytes,
		.tx_packets = s.s.rx_packets,
		.tx_errors = s.s.rx_errors,
		.tx_dropped = s.s.rx_dropped,
	};
	return NULL;
}
