/* SPDX-License-Identifier: Apache-2.0 */

/* Spec: linux/netfilter/nfnetlink_conntrack.h */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

#include "net/net.h"
#include "net/nl_int.h"

/* What of CTA_TUPLE_ORIG a filtered dump compares; the kernel does not export the names. */
#define FILTER_PROTO_NUM      (1U << 3)
#define FILTER_PROTO_DST_PORT (1U << 5)

/* Deleted while the dump goes on: what it gives is a copy. */
struct forgetting {
	struct err *first;
};

static const struct nfgenmsg head = { .nfgen_family = AF_INET, .version = NFNETLINK_V0 };

static int message(int type)
{
	return NFNL_SUBSYS_CTNETLINK << 8 | type;
}

static void keep_first(struct forgetting *f, struct err *e)
{
	if (f->first)
		err_free(e);
	else
		f->first = e;
}

/* Delete the flow that @h describes, by its original direction. */
static void forget(void *arg, const struct nlmsghdr *h)
{
	const struct rtattr *tuple = nl_attr(h, sizeof(head), CTA_TUPLE_ORIG);
	const struct rtattr *id = nl_attr(h, sizeof(head), CTA_ID);
	struct nl_batch b = { .protocol = NETLINK_NETFILTER };

	if (h->nlmsg_type != message(IPCTNL_MSG_CT_NEW) || !tuple || RTA_PAYLOAD(tuple) > 512)
		return;
	nl_add(&b, message(IPCTNL_MSG_CT_DELETE), 0, &head, sizeof(head), "forget flow");
	nl_fine(&b, ENOENT); /* it ended by itself */
	nl_put(&b, CTA_TUPLE_ORIG | NLA_F_NESTED, RTA_DATA(tuple), RTA_PAYLOAD(tuple));
	if (id)
		nl_put(&b, CTA_ID, RTA_DATA(id), RTA_PAYLOAD(id));
	keep_first(arg, nl_run(&b));
}

static struct err *forget_port(int port)
{
	const uint8_t udp = IPPROTO_UDP;
	const uint16_t to = htons((uint16_t)port);
	struct nl_batch b = { .protocol = NETLINK_NETFILTER };
	struct forgetting f = { 0 };
	struct err *e;

	nl_add(&b, message(IPCTNL_MSG_CT_GET), NLM_F_DUMP, &head, sizeof(head), "list flows");

	size_t tuple = nl_nest(&b, CTA_TUPLE_ORIG | NLA_F_NESTED);
	size_t proto = nl_nest(&b, CTA_TUPLE_PROTO | NLA_F_NESTED);

	nl_put(&b, CTA_PROTO_NUM, &udp, sizeof(udp));
	nl_put(&b, CTA_PROTO_DST_PORT, &to, sizeof(to));
	nl_nest_end(&b, proto);
	nl_nest_end(&b, tuple);

	size_t filter = nl_nest(&b, CTA_FILTER | NLA_F_NESTED);

	nl_put_u32(&b, CTA_FILTER_ORIG_FLAGS, FILTER_PROTO_NUM | FILTER_PROTO_DST_PORT);
	nl_put_u32(&b, CTA_FILTER_REPLY_FLAGS, 0);
	nl_nest_end(&b, filter);
	e = nl_dump_batch(&b, forget, &f);
	if (e && (err_errno(e) == EOPNOTSUPP || err_errno(e) == EINVAL)) {
		err_free(e);
		e = NULL;
	}
	keep_first(&f, e);
	return f.first;
}

struct err *net_udp_forget(const int *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		TRY_MSG(forget_port(ports[i]), "flows to %d/udp", ports[i]);
	return NULL;
}
