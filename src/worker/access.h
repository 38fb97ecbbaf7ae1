/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_ACCESS_H
#define WORKER_ACCESS_H

/* How a job may speak with a registry: members "auth" and "registry_config" of its object. */

#include "registry/registry.h"
#include "worker/job.h"

/* What the options borrow beside the job itself. */
struct job_registry {
	struct strv certs;
};

static inline void own_job_registry_release(struct job_registry *own)
{
	strv_done(&own->certs);
}

/** job_registry_options() - all but the path, for a registry of this name */
void job_registry_options(const struct job *j, const char *domain, struct job_registry *own,
			  struct registry_options *ret);

#endif
