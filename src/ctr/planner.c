/* SPDX-License-Identifier: Apache-2.0 */
/* Both halves of a container's plan, as the tables that the engine picks from. */
#include "backend/resources.h"
#include "ctr/plan.h"

#define MANAGE_BYTES (INT64_C(256) << 10) /* its shim */

static struct err *host_resources(const struct spec *s, const struct host_facts *f, json_t **ret)
{
	(void)f;
	return resources_from_spec(s, ret);
}

static int64_t manage_bytes(const struct spec *s, const struct host_facts *f)
{
	(void)s;
	(void)f;
	return MANAGE_BYTES;
}

const struct host_planner ctr_host_planner = {
	.name = "ctr",
	.resources = host_resources,
	.manage_bytes = manage_bytes,
};

const struct guest_planner ctr_guest_planner = {
	.name = "ctr",
	.oci = ctr_plan_oci,
	.process = ctr_plan_process,
	.caps = ctr_plan_caps,
	.seccomp = ctr_plan_seccomp,
};
