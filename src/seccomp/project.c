/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "seccomp/seccomp.h"
#include "util/mem.h"

#define LOW(n)      offsetof(struct seccomp_data, args[n]) /* of a little-endian machine */
#define X32_IOCTL   (0x40000000 | 514)
#define I386_IOCTL  54
#define LOAD(at)    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define IS(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)

void seccomp_keep_project(void **bpf, size_t *len)
{
	/*
	 * The kernel takes the low half of an ioctl's number only, and so do we.  The other
	 * ABI's call of the same number (setsockopt, lchown) has no such argument.
	 */
	static const struct sock_filter head[] = {
		LOAD(offsetof(struct seccomp_data, nr)),
		IS(SYS_ioctl, 2, 0),
		IS(X32_IOCTL, 1, 0),
		IS(I386_IOCTL, 0, 3),
		LOAD(LOW(1)),
		IS(FS_IOC_FSSETXATTR, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	char *joined = xcalloc(1, sizeof(head) + *len);

	memcpy(joined, head, sizeof(head));
	memcpy(joined + sizeof(head), *bpf, *len);
	free(*bpf);
	*bpf = joined;
	*len += sizeof(head);
}
