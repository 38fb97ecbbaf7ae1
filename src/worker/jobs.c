/* SPDX-License-Identifier: Apache-2.0 */
#include "util/mem.h"
#include "worker/job.h"

static const struct job_type jobs[] = {
	{ "pull", job_pull },
	{ "login", job_login },
	{ "load", job_load },
	{ "save", job_save },
	{ "sizes", job_sizes },
	{ "import", job_import },
	{ "files", job_files },
	{ "remove-tree", job_remove_tree },
	{ "volume-copy", job_volume_copy },
	{ "erofs", job_erofs },
	{ "initramfs", job_initramfs },
	{ "kernel-add", job_kernel_add },
	{ "seccomp", job_seccomp },
	{ "kvm-probe", job_kvm_probe },
	{ "adopt", job_adopt },
	{ "identity", job_identity },
	{ "certificate", job_certificate },
	{ "snapshot-copy", job_snapshot_copy },
	{ "snapshot-seal", job_snapshot_seal },
	{ "snapshot-stage", job_snapshot_stage },
	{ "snapshot-export", job_snapshot_export },
	{ "snapshot-import", job_snapshot_import },
};

const struct job_type *job_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		if (streq(jobs[i].name, name))
			return &jobs[i];
	return NULL;
}
