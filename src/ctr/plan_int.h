/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_PLAN_INT_H
#define CTR_PLAN_INT_H

/* Shared by the plan*.c files only. */

#include "ctr/plan.h"

/* process object, without the parts that differ between a start and an exec */
struct err *plan_process(const struct spec *s, const struct guest_facts *in, json_t **ret) MUST_USE;

/* mounts, masked and read-only paths; added to @oci, @oci_linux */
struct err *plan_mounts(const struct spec *s, const struct guest_facts *in, json_t *oci,
			json_t *oci_linux) MUST_USE;

/* linux.devices and the device cgroup rules into @resources (NULL: none wanted) */
struct err *plan_devices(const struct spec *s, json_t *oci_linux, json_t *resources) MUST_USE;

/* value of the last security_opt "key=value" or "key:value"; "" without value; NULL: not there */
const char *plan_security_opt(const struct spec *s, const char *key);

/* "host", "container:x" and the like, as predicates that take NULL */
bool plan_mode_is(const char *mode, const char *what);

#endif
