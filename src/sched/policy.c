/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "util/mem.h"

/*
 * Policies by name: "sjf/easy", "rr:team/easy".
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

/* Labels may have slashes of their own: only one before the name of a fill ends them. */
static struct err *take_label(const char *label, struct policy_parts *ret)
{
	const char *slash = strrchr(label, '/');
	const struct alloc_fill *fill = slash ? fill_find(slash + 1) : NULL;
	size_t len = fill ? (size_t)(slash - label) : strlen(label);

	if (!len || len >= sizeof(ret->label) || strcspn(label, " ,\t\r\n") < len)
		return err_new(ERR_INVALID,
			       "\"%.64s\": expected a label of at most %zu characters, "
			       "without spaces and commas",
			       label, sizeof(ret->label) - 1);
	memcpy(ret->label, label, len);
	ret->label[len] = '\0';
	ret->fill = fill ? fill : fill_find("strict");
	return NULL;
}

static const struct alloc_order *labelled_order(const char *text, const char **ret_label)
{
	const char *colon = strchr(text, ':');
	const struct alloc_order *order = colon ? order_find(text, (size_t)(colon - text)) : NULL;

	if (!order || !order->by_label)
		return NULL;
	*ret_label = colon + 1;
	return order;
}

/* "sjf/easy", "sjf" = sjf/strict, "easy" = fcfs/easy, "rr:team/easy". */
struct err *policy_find(const char *text, struct policy_parts *ret)
{
	const char *slash = strchr(text, '/'), *label;
	const struct alloc_order *order =
	    order_find(text, slash ? (size_t)(slash - text) : strlen(text));
	const struct alloc_fill *fill = fill_find(slash ? slash + 1 : "strict");
	OWN(str) struct str known = { 0 };

	*ret = (struct policy_parts) { .order = labelled_order(text, &label) };
	if (ret->order)
		return take_label(label, ret);
	if (!slash && !order) {
		order = alloc_orders[0];
		fill = fill_find(text);
	}
	ret->order = order;
	ret->fill = fill;
	if (order && fill)
		return NULL;
	for (size_t i = 0; alloc_orders[i]; i++)
		str_addf(&known, "%s%s", i ? ", " : "", alloc_orders[i]->name);
	str_adds(&known, "; after a slash: ");
	for (size_t i = 0; alloc_fills[i]; i++)
		str_addf(&known, "%s%s", i ? ", " : "", alloc_fills[i]->name);
	return err_new(ERR_INVALID, "\"%.64s\" is no policy; there are %s", text, known.buf);
}

struct err *alloc_policy_check(const char *policy)
{
	struct policy_parts parts;

	return policy_find(policy, &parts);
}

struct err *alloc_policy_over(const char *policy, char **ret)
{
	struct policy_parts parts;

	TRY(policy_find(policy, &parts));
	*ret = *parts.label ? xstrdup(parts.label) : NULL;
	return NULL;
}
