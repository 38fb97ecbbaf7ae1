/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

/*
 * Boot: what the START of the payload brings, and making the machine as it says: root,
 * files, host name, network.  The document:
 *
 *	{ "guest": { the plan's guest half (model/plan.h) },
 *	  "image": true, "readonly": false,   is there an image to mount?
 *	  "seccomp": "hex digits of the BPF" }
 *
 * Context: pid 1 of a VM; blocks.
 */

#include "json/json.h"
#include "util/err.h"
#include "util/str.h"

struct guest_boot {
	json_t *doc;
	struct str bpf; /* empty: no filter */
};

/** guest_boot() - @ret: kept for the life of the VM */
struct err *guest_boot(json_t *doc, struct guest_boot **ret) MUST_USE;

/** guest_boot_config() - the plan's guest object, borrowed; NULL when @b is NULL */
const json_t *guest_boot_config(const struct guest_boot *b);

/** guest_oom_kills() - how many processes the kernel has killed for memory so far */
int64_t guest_oom_kills(void);

#endif
