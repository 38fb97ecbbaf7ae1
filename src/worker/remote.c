/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/remote.h"

#include <string.h>

#include "files/ask.h"
#include "util/fd.h"
#include "worker/data.h"
#include "sys/jail.h"

#define AGENT_FD 4

bool remote_is_asked(const struct job *j)
{
	return jx_bool(json_object_get(j->args, "rootfs"), "agent", false);
}

static void on_stat(void *arg, const json_t *stat)
{
	job_stat(arg, stat);
}

struct err *remote_files(struct job *j, const char *op, json_t **ret_done)
{
	OWN(data) struct data_in in = { 0 };
	OWN(json)
	json_t *request = json_pack(
	    "{s:s, s:s, s:s, s:O*, s:b}", "op", op, "path", jx_str(j->args, "path", "/"), "name",
	    jx_str(j->args, "name", ""), "mounts", json_object_get(j->args, "mounts"), "keep_kind",
	    jx_bool(j->args, "noOverwriteDirNonDir", false));
	struct files_client c = { .fd = AGENT_FD,
				  .op = op,
				  .request = request,
				  .out = j->data_fd,
				  .stat = on_stat,
				  .arg = j,
				  .reader = tar_reader_new,
				  .writer = tar_writer_new };

	/* What the guest says is foreign. */
	TRY(jail_private_mounts());
	TRY(jail_drop_privileges());
	if (!strcmp(op, "put"))
		TRY(data_open(j, &in, &c.in));
	return files_ask(&c, ret_done);
}
