/* SPDX-License-Identifier: Apache-2.0 */
#include "net/plan.h"

#include <stdio.h>
#include <string.h>

#include "util/mem.h"

static struct err *read_name(const json_t *net, const char *key, char ret[IFNAMSIZ])
{
	const char *text = jx_str(net, key, "");

	if (!text[0] || strlen(text) >= IFNAMSIZ)
		return err_new(ERR_INVALID, "plan: net.%s: \"%s\" is no interface name", key, text);
	snprintf(ret, IFNAMSIZ, "%s", text);
	return NULL;
}

static struct err *read_mtu(const json_t *net, int *ret)
{
	int64_t mtu = jx_int(net, "mtu", 0);

	if (mtu && (mtu < 68 || mtu > 65535))
		return err_new(ERR_INVALID, "plan: net.mtu: %lld", (long long)mtu);
	*ret = (int)mtu;
	return NULL;
}

static struct err *read_rate(const json_t *net, const char *key, int64_t *ret)
{
	int64_t bps = jx_int(net, key, 0);

	if (bps < 0)
		return err_new(ERR_INVALID, "plan: net.%s: %lld", key, (long long)bps);
	*ret = bps;
	return NULL;
}

const json_t *net_plan_link(const json_t *net, size_t n)
{
	if (!streq(jx_str(net, "mode", "none"), "bridge"))
		return NULL;
	return n ? json_array_get(json_object_get(net, "more"), n - 1) : net;
}

struct err *net_link_from_plan(const json_t *net, struct net_link *ret)
{
	struct net_link l = { .mtu = 0 };

	TRY(read_name(net, "host_ifname", l.host_ifname));
	TRY(read_name(net, "bridge", l.bridge));
	TRY(read_name(net, "ifname", l.ifname));
	TRY_MSG(net_parse_mac(jx_str(net, "mac", NULL), l.mac), "plan: net.mac");
	TRY(read_mtu(net, &l.mtu));
	TRY(read_rate(net, "egress_bps", &l.egress_bps));
	TRY(read_rate(net, "ingress_bps", &l.ingress_bps));
	*ret = l;
	return NULL;
}

struct err *net_config_from_plan(const json_t *net, struct net_config *ret)
{
	struct net_config c = { .mtu = 0 };
	const char *mode = jx_str(net, "mode", "bridge");
	const char *gateway = jx_str(net, "gateway", NULL);

	if (!net || streq(mode, "none")) {
		*ret = c;
		return NULL;
	}
	if (!streq(mode, "bridge"))
		return err_new(ERR_INVALID, "plan: net.mode %s has no configuration", mode);
	TRY(read_name(net, "ifname", c.ifname));
	TRY_MSG(net_parse_prefix(jx_str(net, "address", NULL), &c.address), "plan: net.address");
	if (gateway)
		TRY_MSG(net_parse_address(gateway, &c.gateway), "plan: net.gateway");
	TRY(read_mtu(net, &c.mtu));
	*ret = c;
	return NULL;
}
