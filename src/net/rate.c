/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rates of a link, both on the host, where the instance cannot lift them:
 * what goes to the instance is held back by a token bucket on the host's end; what comes from it
 * is redirected, as it arrives, through an ifb of its own with a token bucket. (Dropping
 * instead of holding back would need less, but TCP under a policer gets well below the limit.)
 *
 * Spec: tc-tbf(8), tc-u32(8), tc-mirred(8); linux/pkt_sched.h, linux/pkt_cls.h.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "net/net.h"
#include "net/nl_int.h"

/* A bucket of 10 ms, but room for a few full frames; a queue of another 100 ms. */
#define BURST_MIN_BYTES (16 * 1024)
#define QUEUE_MIN_BYTES (64 * 1024)
#define BURST_MAX_BYTES (64 << 20)

void rate_ifb_name(const char *host_ifname, char *ret)
{
	snprintf(ret, IFNAMSIZ, "%s", host_ifname);
	if (strlen(ret) > 1)
		ret[1] = ret[1] == 'i' ? 'j' : 'i';
}

static uint32_t clamp(uint64_t v, uint32_t min, uint32_t max)
{
	return v < min ? min : v > max ? max : (uint32_t)v;
}

static void add_bucket(struct nl_batch *b, int index, int64_t bps)
{
	const struct tcmsg head = { .tcm_ifindex = index, .tcm_parent = TC_H_ROOT };
	uint64_t rate = (uint64_t)bps / 8;
	uint32_t burst = clamp(rate / 100, BURST_MIN_BYTES, BURST_MAX_BYTES);
	struct tc_tbf_qopt q = {
		.rate = { .rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate,
			  .linklayer = TC_LINKLAYER_ETHERNET },
		.limit = clamp(rate / 10, QUEUE_MIN_BYTES, BURST_MAX_BYTES) + burst,
	};

	nl_add(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head), "set tbf");
	nl_put_text(b, TCA_KIND, "tbf");

	size_t options = nl_nest(b, TCA_OPTIONS);

	nl_put(b, TCA_TBF_PARMS, &q, sizeof(q));
	nl_put_u32(b, TCA_TBF_BURST, burst);
	if (rate > UINT32_MAX)
		nl_put(b, TCA_TBF_RATE64, &rate, sizeof(rate));
	nl_nest_end(b, options);
}

static void add_qdisc_delete(struct nl_batch *b, int index, uint32_t parent)
{
	const struct tcmsg head = { .tcm_ifindex = index, .tcm_parent = parent };

	nl_add(b, RTM_DELQDISC, 0, &head, sizeof(head), "lift limit");
	nl_fine(b, ENOENT);
	nl_fine(b, EINVAL);
}

static struct err *make_ifb(const char *name, int *ret_index)
{
	static const struct ifinfomsg up = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nl_batch b = { .len = 0 };

	nl_add(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof(up), "make ifb");
	nl_fine(&b, EEXIST);
	nl_put_text(&b, IFLA_IFNAME, name);
	nl_put_u32(&b, IFLA_NUM_TX_QUEUES, 1);
	nl_put_u32(&b, IFLA_NUM_RX_QUEUES, 1);

	size_t info = nl_nest(&b, IFLA_LINKINFO);

	nl_put_text(&b, IFLA_INFO_KIND, "ifb");
	nl_nest_end(&b, info);
	TRY(nl_run(&b));
	return nl_index(name, ret_index);
}

static void add_ingress_hook(struct nl_batch *b, int index)
{
	const struct tcmsg head = { .tcm_ifindex = index,
				    .tcm_parent = TC_H_INGRESS,
				    .tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0) };

	nl_add(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head), "add ingress");
	nl_fine(b, EEXIST);
	nl_put_text(b, TCA_KIND, "ingress");
}

static void put_redirect(struct nl_batch *b, int to)
{
	const struct tc_mirred m = { .action = TC_ACT_STOLEN,
				     .eaction = TCA_EGRESS_REDIR,
				     .ifindex = (uint32_t)to };
	size_t actions = nl_nest(b, TCA_U32_ACT);
	size_t first = nl_nest(b, 1);

	nl_put_text(b, TCA_ACT_KIND, "mirred");

	size_t options = nl_nest(b, TCA_ACT_OPTIONS);

	nl_put(b, TCA_MIRRED_PARMS, &m, sizeof(m));
	nl_nest_end(b, options);
	nl_nest_end(b, first);
	nl_nest_end(b, actions);
}

/* Every packet that comes in from the instance continues at @to. */
static void add_redirect(struct nl_batch *b, int index, int to)
{
	const struct tcmsg head = { .tcm_ifindex = index,
				    .tcm_parent = TC_H_MAKE(TC_H_INGRESS, 0),
				    .tcm_info = TC_H_MAKE(1U << 16, htons(ETH_P_ALL)) };
	struct {
		struct tc_u32_sel sel;
		struct tc_u32_key any; /* mask 0 */
	} match = { .sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };

	nl_add(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head), "add redirect");
	nl_put_text(b, TCA_KIND, "u32");

	size_t options = nl_nest(b, TCA_OPTIONS);

	nl_put(b, TCA_U32_SEL, &match, sizeof(match));
	put_redirect(b, to);
	nl_nest_end(b, options);
}

static struct err *hold_sender(const char *host_ifname, int index, int64_t bps)
{
	struct nl_batch b = { .len = 0 };
	char name[IFNAMSIZ];
	int ifb = 0;

	rate_ifb_name(host_ifname, name);
	TRY(make_ifb(name, &ifb));
	add_bucket(&b, ifb, bps);
	add_qdisc_delete(&b, index, TC_H_INGRESS);
	add_ingress_hook(&b, index);
	add_redirect(&b, index, ifb);
	return nl_run(&b);
}

static struct err *release_sender(const char *host_ifname, int index)
{
	static const struct ifinfomsg any = { 0 };
	struct nl_batch b = { .len = 0 };
	char name[IFNAMSIZ];

	rate_ifb_name(host_ifname, name);
	add_qdisc_delete(&b, index, TC_H_INGRESS);
	nl_add(&b, RTM_DELLINK, 0, &any, sizeof(any), "delete ifb");
	nl_put_text(&b, IFLA_IFNAME, name);
	nl_fine(&b, ENODEV);
	return nl_run(&b);
}

static struct err *hold_receiver(int index, int64_t bps)
{
	struct nl_batch b = { .len = 0 };

	if (bps)
		add_bucket(&b, index, bps);
	else
		add_qdisc_delete(&b, index, TC_H_ROOT);
	return nl_run(&b);
}

struct err *rate_set(const char *host_ifname, int64_t to_instance_bps, int64_t from_instance_bps,
		     bool is_new)
{
	int index = 0;

	TRY(nl_index(host_ifname, &index));
	if (to_instance_bps || !is_new)
		TRY(hold_receiver(index, to_instance_bps));
	if (from_instance_bps)
		return hold_sender(host_ifname, index, from_instance_bps);
	return is_new ? NULL : release_sender(host_ifname, index);
}
