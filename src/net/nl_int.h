/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_NL_INT_H
#define NET_NL_INT_H

/*
 * Netlink messages built in a fixed buffer and sent together: the kernel works
 * through all of one packet, and answers each message on its own.
 *
 * Spec: rtnetlink(7), linux/rtnetlink.h.
 */

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define NL_BATCH_BYTES 2048
#define NL_BATCH_MAX   8

struct nl_batch {
	int protocol; /* NETLINK_ROUTE is 0 */
	union {
		struct nlmsghdr align;
		char bytes[NL_BATCH_BYTES];
	} buf;
	size_t len;
	size_t last; /* offset of the message under construction */
	unsigned n;
	/* Per message: what it does, for the error; errnos that are fine (0: no more). */
	struct {
		const char *what;
		int fine[2];
	} m[NL_BATCH_MAX];
};

/**
 * nl_add() - begin a message
 * @flags: besides NLM_F_REQUEST and NLM_F_ACK
 * @head:  fixed part that follows the netlink header, @size bytes
 * @what:  borrowed until nl_run(); "add address"
 */
void nl_add(struct nl_batch *b, int type, int flags, const void *head, size_t size,
	    const char *what);

/** nl_fine() - an errno that is no failure of the message under construction; at most two */
void nl_fine(struct nl_batch *b, int errnum);

void nl_put(struct nl_batch *b, int type, const void *data, size_t size);
void nl_put_u32(struct nl_batch *b, int type, uint32_t value);
void nl_put_text(struct nl_batch *b, int type, const char *text);

/** nl_nest() - begin a nested attribute; give what it returned to nl_nest_end() */
size_t nl_nest(struct nl_batch *b, int type);
void nl_nest_end(struct nl_batch *b, size_t at);

/** nl_raw() - bytes without an attribute header (VETH_INFO_PEER begins with an ifinfomsg) */
void nl_raw(struct nl_batch *b, const void *data, size_t size);

/**
 * nl_run() - send the batch and collect the answers
 * All messages are worked through whatever becomes of the others.
 * Return: NULL, or the system error of the first message that failed.
 */
struct err *nl_run(const struct nl_batch *b) MUST_USE;

/** nl_dump_batch() - send the one message of @b, a dump, and call @fn for every message of it */
struct err *nl_dump_batch(const struct nl_batch *b, void (*fn)(void *arg, const struct nlmsghdr *h),
			  void *arg) MUST_USE;

/** nl_dump() - ask for a dump and call @fn for every message of it */
struct err *nl_dump(int type, const void *head, size_t size,
		    void (*fn)(void *arg, const struct nlmsghdr *h), void *arg) MUST_USE;

/** nl_get_link() - call @fn for the description of one interface */
struct err *nl_get_link(int index, void (*fn)(void *arg, const struct nlmsghdr *h),
			void *arg) MUST_USE;

/** nl_attr() - attribute of a received message, or NULL; @head: size of its fixed part */
const struct rtattr *nl_attr(const struct nlmsghdr *h, size_t head, int type);

/** nl_index() - index of an interface; ERR_NOT_FOUND */
struct err *nl_index(const char *ifname, int *ret) MUST_USE;

/** rate_set() - limit both directions of a host's link; 0 lifts a limit that was there */
struct err *rate_set(const char *host_ifname, int64_t to_instance_bps, int64_t from_instance_bps,
		     bool is_new) MUST_USE;

/** rate_ifb_name() - the ifb that belongs to a host's link: "hv…" gives "hi…" */
void rate_ifb_name(const char *host_ifname, char *ret);

#endif
