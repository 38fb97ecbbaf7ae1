/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/rule.h"

#include <stdio.h>
#include <string.h>

#include "util/mem.h"

static const struct {
	const char *name;
	uint32_t action;
	bool has_errno;
} actions[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL, false },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP, false },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG, false },
};

static const struct {
	const char *name;
	enum scmp_compare op;
} ops[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

struct err *rule_action(const char *name, unsigned errnum, uint32_t *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (streq(actions[i].name, name)) {
			*ret = actions[i].action | (actions[i].has_errno ? errnum & 0xffff : 0);
			return NULL;
		}
	return err_new(ERR_INVALID, "seccomp action \"%s\" is not known", name ? name : "");
}

/* JSON numbers of a profile are unsigned 64 bit; jansson's are signed, above is a real. */
static uint64_t number(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return json_is_real(v) ? (uint64_t)json_real_value(v) : (uint64_t)jx_int(j, key, 0);
}

struct err *rule_arg(const json_t *j, struct scmp_arg_cmp *ret)
{
	const char *op = jx_str(j, "op", "");
	int64_t index = jx_int(j, "index", -1);

	if (index < 0 || index > 5)
		return err_new(ERR_INVALID, "seccomp argument index %ld", index);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (!strcmp(ops[i].name, op)) {
			*ret = (struct scmp_arg_cmp) { .arg = (unsigned)index,
						       .op = ops[i].op,
						       .datum_a = number(j, "value"),
						       .datum_b = number(j, "valueTwo") };
			return NULL;
		}
	return err_new(ERR_INVALID, "seccomp comparison \"%s\" is not known", op);
}

static bool has_string(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (streq(json_string_value(json_array_get(list, i)), text))
			return true;
	return false;
}

static size_t caps_found(const json_t *list, const struct rule_context *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->caps->n; i++)
		n += has_string(list, c->caps->v[i]);
	return n;
}

static bool kernel_reaches(const char *wanted, const struct rule_context *c)
{
	unsigned major = 0, minor = 0;

	if (!wanted)
		return true;
	sscanf(wanted, "%u.%u", &major, &minor);
	return c->kernel_major > major || (c->kernel_major == major && c->kernel_minor >= minor);
}

bool rule_applies(const json_t *rule, const struct rule_context *c)
{
	const json_t *in = json_object_get(rule, "includes");
	const json_t *ex = json_object_get(rule, "excludes");
	const json_t *in_caps = json_object_get(in, "caps");
	const json_t *in_arches = json_object_get(in, "arches");
	const char *ex_kernel = jx_str(ex, "minKernel", NULL);

	if (json_array_size(in_arches) && !has_string(in_arches, c->arch))
		return false;
	if (caps_found(in_caps, c) < json_array_size(in_caps))
		return false;
	if (!kernel_reaches(jx_str(in, "minKernel", NULL), c))
		return false;
	if (has_string(json_object_get(ex, "arches"), c->arch))
		return false;
	if (caps_found(json_object_get(ex, "caps"), c))
		return false;
	return !ex_kernel || !kernel_reaches(ex_kernel, c);
}
