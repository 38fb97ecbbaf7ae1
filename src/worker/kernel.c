/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/stat.h>

#include "boot/boot.h"
#include "kvm/kvm.h"
#include "util/mem.h"
#include "worker/job.h"

struct err *job_kernel_add(struct job *j, json_t **ret_done)
{
	struct boot_source s = { .root = j->root };

	TRY(job_arg(j, "source", &s.source));
	s.name = jx_str(j->args, "name", NULL);
	s.modules = jx_str(j->args, "modules", NULL);
	job_status(j, NULL, "Making a kernel bundle");
	return boot_kernel_add(&s, ret_done);
}

struct err *job_initramfs(struct job *j, json_t **ret_done)
{
	OWN(strv) struct strv features = { 0 };
	struct boot_initramfs b = { .root = j->root,
				    .features = &features,
				    .busybox = jx_str(j->args, "busybox", NULL) };
	OWN(mem) char *path = NULL;

	TRY(job_arg(j, "kernel", &b.kernel));
	TRY(job_arg(j, "guest", &b.guest));
	jx_strv(j->args, "features", &features);
	TRY(boot_initramfs_make(&b, &path));
	*ret_done = json_pack("{s:s}", "path", path);
	return NULL;
}

/* QEMU runs as a user of its own, who gets the device's group and no more. */
static void check_mode(const char *path, struct kvm_result *r)
{
	struct stat st;

	if (r->verdict != KVM_USABLE || stat(path, &st) < 0 || (st.st_mode & 0060) == 0060 ||
	    (st.st_mode & 0006) == 0006)
		return;
	r->verdict = KVM_ABSENT;
	snprintf(r->reason, sizeof(r->reason),
		 "%s is for root alone (mode %04o), and QEMU does not run as root", path,
		 st.st_mode & 07777);
}

struct err *job_kvm_probe(struct job *j, json_t **ret_done)
{
	struct kvm_result r;
	const char *path;

	TRY(job_arg(j, "path", &path));
	kvm_probe(path, &r);
	check_mode(path, &r);
	*ret_done = json_pack("{s:s, s:I, s:s}", "verdict", kvm_verdict_name(r.verdict), "rate",
			      (json_int_t)r.rate, "reason", r.reason);
	return NULL;
}
