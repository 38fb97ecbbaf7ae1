/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_NET_H
#define NET_NET_H

/*
 * Net: bridge, links, addresses, rates and port claims, by rtnetlink and ioctl
 * alone, so that static programs (shim, guest) can use it.
 *
 * Who calls what:
 *   hosteld            net_subnet_choose(), net_bridge_ensure(), net_address_pick(),
 *                      net_mac_from_address(), net_ifname(), net_port_claim()
 *   starter, on the    net_veth_create() or net_tap_open(): the link exists, is on the
 *   host               bridge, and shaped
 *   inside the netns   net_configure(): addresses and routes
 *   undo               net_link_delete()
 *
 * A link needs no undo in the usual course: a veth goes with its namespace, a tap with
 * its last descriptor; the ifb that shapes what an instance sends does not, and an
 * instance with egress_bps is undone by net_link_delete().
 *
 * All numbers are in host byte order.  IPv4 only.
 *
 * Context: any thread; every call opens and closes its own socket, blocks for the
 * kernel's work only (about 1 ms), and allocates nothing on success.
 */

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"
#include "util/str.h"

/* ---- addresses; pure ---- */

struct net_prefix {
	uint32_t address; /* 10.88.0.1 is 0x0a580001 */
	int len;          /* 0 to 32 */
};

#define NET_ADDRESS_TEXT 20 /* bytes for "255.255.255.255/32" */
#define NET_MAC_LEN      6
#define NET_MAC_TEXT     18

/** net_parse_address() - "10.88.0.5"; ERR_INVALID */
struct err *net_parse_address(const char *text, uint32_t *ret) MUST_USE;

/** net_parse_prefix() - "10.88.0.5/16" (host bits are kept); ERR_INVALID */
struct err *net_parse_prefix(const char *text, struct net_prefix *ret) MUST_USE;

/** net_parse_mac() - "02:42:0a:58:00:05"; ERR_INVALID, also for a multicast address */
struct err *net_parse_mac(const char *text, uint8_t ret[NET_MAC_LEN]) MUST_USE;

/** net_address_text() - @buf of NET_ADDRESS_TEXT bytes; Return: @buf */
const char *net_address_text(uint32_t address, char *buf);

/** net_prefix_text() - "10.88.0.5/16"; @buf of NET_ADDRESS_TEXT bytes; Return: @buf */
const char *net_prefix_text(const struct net_prefix *p, char *buf);

/** net_mac_text() - @buf of NET_MAC_TEXT bytes; Return: @buf */
const char *net_mac_text(const uint8_t mac[NET_MAC_LEN], char *buf);

/** net_mask() - the mask of a prefix length, 16 is 0xffff0000 */
uint32_t net_mask(int len);

/** net_prefix_has() - is @address in @p? */
bool net_prefix_has(const struct net_prefix *p, uint32_t address);

/** net_prefixes_overlap() - have @a and @b an address in common? */
bool net_prefixes_overlap(const struct net_prefix *a, const struct net_prefix *b);

/**
 * net_mac_from_address() - 02:42 and the four bytes of the address
 * The same address always has the same MAC, so that no neighbour's ARP entry is ever stale.
 */
void net_mac_from_address(uint32_t address, uint8_t ret[NET_MAC_LEN]);

/**
 * net_ifname() - the host's end of an instance's link: "hv" and the first 10 digits of @id
 * @id: at least 10 hex digits
 */
void net_ifname(const char *id, char ret[IFNAMSIZ]);

/** net_ifname_at() - the same for its @n-th link (0: the first, as net_ifname()), n below 100 */
void net_ifname_at(const char *id, unsigned n, char ret[IFNAMSIZ]);

/**
 * net_subnet_pick() - the first candidate (10.88.0.0/16, 10.89.0.0/16, …, then ranges in
 * 172.16.0.0/12 and 192.168.0.0/16) that overlaps none of @used
 * @used, @n: prefixes in use; a default route (length 0) does not count
 * @ret:      the bridge's own address, first of the range: 10.88.0.1/16
 * Return: NULL, or ERR_LIMIT when all are taken.
 */
struct err *net_subnet_pick(const struct net_prefix *used, size_t n,
			    struct net_prefix *ret) MUST_USE;

/**
 * net_address_pick() - a free address of a subnet
 * @bridge:  the bridge's address and prefix length; that address, network and broadcast
 *           addresses are never given out
 * @after:   look from the one after it, around to it (the last one given out, so that an
 *           address rests before it is used again); 0: from the start
 * @is_used: called for each candidate in turn
 * Return: NULL, or ERR_LIMIT "no free address in 10.88.0.0/16".
 */
struct err *net_address_pick(const struct net_prefix *bridge, uint32_t after,
			     bool (*is_used)(void *arg, uint32_t address), void *arg,
			     uint32_t *ret) MUST_USE;

/* ---- the host's side, in the daemon ---- */

/**
 * net_subnet_choose() - the address the bridge has, or else one for it that avoids the host's
 * routes and addresses
 * @bridge:       name of the bridge, which need not exist
 * @others, @n:   more ranges to avoid: of networks whose bridges may not be there now
 * Return: NULL, ERR_LIMIT as net_subnet_pick(), or a system error.
 */
struct err *net_subnet_choose(const char *bridge, const struct net_prefix *others, size_t n,
			      struct net_prefix *ret) MUST_USE;

/**
 * net_subnet_check() - does a subnet that the user chose collide with the host's routes?
 * Return: NULL, or ERR_EXISTS "10.0.0.0/8 overlaps the host's route 10.1.0.0/16 (eth0)"; routes of
 *         @bridge itself do not count.
 */
struct err *net_subnet_check(const char *bridge, const struct net_prefix *subnet) MUST_USE;

/**
 * net_bridge_ensure() - make the bridge unless it is there, give it the address, set it up, let
 * the host forward (ip_forward) and let loopback addresses be routed to it (route_localnet;
 * the nft module keeps instances from misusing that)
 * Idempotent.
 */
struct err *net_bridge_ensure(const char *bridge, const struct net_prefix *address) MUST_USE;

/**
 * net_uplink_check() - may an interface of the host become a port of @bridge?
 * Return: NULL (also when it is one already); ERR_NOT_FOUND; ERR_DENIED when it is loopback, a port
 * of another bridge, or has an IPv4 address, which the host could not use any more.
 */
struct err *net_uplink_check(const char *ifname, const char *bridge) MUST_USE;

/**
 * net_uplink_attach() - make an interface of the host a port of a bridge, and set it up
 * Idempotent.  Deleting the bridge lets it go.
 */
struct err *net_uplink_attach(const char *ifname, const char *bridge) MUST_USE;

/** net_bridge_delete() - remove the bridge; an absent one is fine */
struct err *net_bridge_delete(const char *bridge) MUST_USE;

/* ---- links ---- */

/* One end on the host's bridge, the other in the instance. */
struct net_link {
	char host_ifname[IFNAMSIZ]; /* "hv1a2b3c4d5e" */
	char bridge[IFNAMSIZ];
	char ifname[IFNAMSIZ];    /* veth: the end inside, "eth0" */
	uint8_t mac[NET_MAC_LEN]; /* veth: of the end inside */
	int mtu;                  /* 0: 1500 */
	int64_t egress_bps;       /* bits per second that the instance may send; 0: no limit */
	int64_t ingress_bps;      /* … that it may receive */
};

/**
 * net_veth_create() - make a veth pair: the host's end on the bridge and up, its peer in a
 * namespace, down, with its name and MAC
 * @netns_pid: a process in the target network namespace
 *
 * A leftover link of the same name is replaced.  Limits are set before the peer can be
 * configured.
 * Return: NULL, ERR_NOT_FOUND for a missing bridge, or a system error; nothing is left then.
 */
struct err *net_veth_create(const struct net_link *l, pid_t netns_pid) MUST_USE;

/** net_veth_create_at() - the same with a descriptor of the namespace (borrowed) */
struct err *net_veth_create_at(const struct net_link *l, int netns_fd) MUST_USE;

/**
 * net_tap_open() - make a tap on the bridge, up and shaped, for QEMU's -netdev tap,fd=
 * @ret_fd: tap with IFF_VNET_HDR, non-blocking, CLOEXEC; the interface goes with its last
 *          copy
 * Return: as net_veth_create(); ERR_UNSUPPORTED without /dev/net/tun.
 */
struct err *net_tap_open(const struct net_link *l, int *ret_fd) MUST_USE;

/** net_set_rates() - change the limits of an existing link (hostel update); 0 lifts one */
struct err *net_set_rates(const struct net_link *l) MUST_USE;

/**
 * net_link_hold() - drop every packet from and to an instance, or let them through again
 * By its port of the bridge, so that neither end sees its link go: who sends tries again later.  A
 * link that has gone is fine.
 */
struct err *net_link_hold(const char *host_ifname, bool on) MUST_USE;

/**
 * net_link_set_up() - the host's end up, or down
 * While it is down nothing reaches the inside, which can be configured all the same.
 */
struct err *net_link_set_up(const char *host_ifname, bool on) MUST_USE;

/** net_link_delete() - remove the host's end and its ifb; absent ones are fine */
struct err *net_link_delete(const char *host_ifname) MUST_USE;

/* As the instance sees it: rx is what it received. */
struct net_stats {
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};

/** net_link_stats() - counters of an instance's link; ERR_NOT_FOUND when it is gone */
struct err *net_link_stats(const char *host_ifname, struct net_stats *ret) MUST_USE;

/* ---- inside ---- */

/* What net_configure() sets in the caller's own network namespace. */
struct net_config {
	char ifname[IFNAMSIZ];     /* "": nothing but lo */
	bool has_mac;              /* set @mac (a container's is set by net_veth_create()) */
	uint8_t mac[NET_MAC_LEN];  /* */
	int mtu;                   /* 0: leave it */
	struct net_prefix address; /* len 0: none */
	uint32_t gateway;          /* default route; 0: none */
};

/** net_configure() - lo up; interface up with address and default route.  Idempotent. */
struct err *net_configure(const struct net_config *c) MUST_USE;

/**
 * net_reconfigure() - an interface that net_configure() set by @old becomes @c, MAC included
 * It is down meanwhile: what else was routed by it is forgotten.
 */
struct err *net_reconfigure(const struct net_config *old, const struct net_config *c) MUST_USE;

/**
 * net_configure_at() - the same in another namespace
 * @netns_fd: borrowed
 * Context: a process of one thread, which goes there and comes back; ends the process if it
 *          cannot come back.
 */
struct err *net_configure_at(const struct net_config *c, int netns_fd) MUST_USE;

/* ---- ports of the host ---- */

enum net_proto { NET_TCP, NET_UDP };

struct net_port_range {
	enum net_proto proto;
	uint32_t address; /* 0: all of the host's */
	int first, last;  /* 1 to 65535; both 0: any free one */
};

/**
 * net_port_claim() - reserve a port of the host, so that no other program gets it
 * @want:     which; the first free one of a range is taken
 * @ret_port: the port
 * @ret_fd:   socket that holds it until it is closed; connections never reach it once
 *            nft_publish() has the port
 * Return: NULL; ERR_EXISTS "8080/tcp is held by nginx (pid 812)", for a range "no free port in
 *         8000-8010/tcp"; ERR_INVALID when the address is not the host's.
 */
struct err *net_port_claim(const struct net_port_range *want, int *ret_port, int *ret_fd) MUST_USE;

/**
 * net_port_holder() - who listens on a port: "nginx (pid 812)", "another program"
 * Return: text owned by the caller, or NULL when nobody does.
 * Context: reads /proc/PID/fd of every process; only worth it for an error message.
 */
char *net_port_holder(enum net_proto proto, uint32_t address, int port);

/**
 * net_udp_forget() - let go of the flows that hosts' udp ports had before they were published
 * @ports, @n: of the host
 * A sender that never pauses keeps a flow, and where it goes, alive for ever; the next packet
 * makes a new one.  (TCP needs none of this.)
 * Return: NULL, also on a kernel that cannot look for flows by port (before 5.8).
 */
struct err *net_udp_forget(const int *ports, size_t n) MUST_USE;

/** net_proto_name() - "tcp" or "udp"; static storage */
const char *net_proto_name(enum net_proto proto);

#endif
