/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/seccomp.h"
#include "util/str.h"
#include "worker/job.h"

struct err *job_seccomp(struct job *j, json_t **ret_done)
{
	OWN(strv) struct strv caps = { 0 };
	const char *out = NULL;

	(void)ret_done;
	TRY(job_arg(j, "out", &out));
	jx_strv(j->args, "caps", &caps);
	return seccomp_compile_file(json_object_get(j->args, "profile"), &caps,
				    jx_bool(j->args, "keep_project", false), out);
}
