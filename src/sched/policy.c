/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "util/mem.h"

/*
 * Policies by name: "sjf/easy".
 */

static const struct alloc_order *order_find(const char *name, size_t len)
{
	for (size_t i = 0; alloc_orders[i]; i++)
		if (strlen(alloc_orders[i]->name) == len &&
		    !memcmp(alloc_orders[i]->name, name, len))
			return alloc_orders[i];
	return NULL;
}

static const struct alloc_fill *fill_find(const char *name)
{
	for (size_t i = 0; alloc_fills[i]; i++)
		if (!strcmp(alloc_fills[i]->name, name))
			return alloc_fills[i];
	return NULL;
}

/* "sjf/easy", "sjf" = sjf/strict, "easy" = fcfs/easy. */
struct err *policy_find(const char *text, const struct alloc_order **ret_order,
			const struct alloc_fill **ret_fill)
{
	const char *slash = strchr(text, '/');
	const struct alloc_order *order =
	    order_find(text, slash ? (size_t)(slash - text) : strlen(text));
	const struct alloc_fill *fill = fill_find(slash ? slash + 1 : "strict");
	OWN(str) struct str known = { 0 };

	if (!slash && !order) {
		order = alloc_orders[0];
		fill = fill_find(text);
	}
	if (order && fill) {
		*ret_order = order;
		*ret_fill = fill;
		return NULL;
	}
	for (size_t i = 0; alloc_orders[i]; i++)
		str_addf(&known, "%s%s", i ? ", " : "", alloc_orders[i]->name);
	str_adds(&known, "; after a slash: ");
	for (size_t i = 0; alloc_fills[i]; i++)
		str_addf(&known, "%s%s", i ? ", " : "", alloc_fills[i]->name);
	return err_new(ERR_INVALID, "\"%.64s\" is no policy; there are %s", text, known.buf);
}

struct err *alloc_policy_check(const char *policy)
{
	const struct alloc_order *order;
	const struct alloc_fill *fill;

	return policy_find(policy, &order, &fill);
}
