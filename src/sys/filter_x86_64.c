/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "sys/filter.h"

#define X32_BIT 0x40000000u
#define ROOM    512

static const unsigned allowed[] = {
	/* descriptors */
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_pwrite64,
	SYS_lseek,
	SYS_close,
	SYS_close_range,
	SYS_dup,
	SYS_fcntl,
	SYS_ioctl,
	SYS_poll,
	SYS_shutdown,
	SYS_ftruncate,
	SYS_fallocate,
	SYS_fadvise64,
	SYS_syncfs,
	/* names */
	SYS_openat,
	SYS_openat2,
	SYS_newfstatat,
	SYS_fstat,
	SYS_statx,
	SYS_readlinkat,
	SYS_getdents64,
	SYS_mkdirat,
	SYS_symlinkat,
	SYS_linkat,
	SYS_unlinkat,
	SYS_renameat,
	SYS_renameat2,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_fchown,
	SYS_fchownat,
	SYS_utimensat,
	SYS_fsetxattr,
	SYS_fgetxattr,
	SYS_flistxattr,
	SYS_umask,
	SYS_getcwd,
	SYS_fstatfs,
	SYS_faccessat,
	/* memory, time, the C library */
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_getrandom,
	SYS_getpid,
	SYS_gettid,
	SYS_geteuid,
	SYS_getuid,
	SYS_getegid,
	SYS_getgid,
	SYS_sysinfo,
	SYS_uname,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_restart_syscall,
	SYS_tgkill,
	SYS_exit,
	SYS_exit_group,
};

/* As mknod(2) takes them: whiteouts, and what the extractor makes. */
static const unsigned devices[] = { 0x000, 0x103, 0x105, 0x107, 0x108, 0x109, 0x500, 0x501, 0x502 };

struct program {
	struct sock_filter code[ROOM];
	unsigned short n;
};

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	if (p->n < ROOM)
		p->code[p->n++] = (struct sock_filter) { code, yes, no, k };
}

static void load(struct program *p, size_t offset)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct program *p, uint32_t what)
{
	add(p, BPF_RET | BPF_K, what, 0, 0);
}

static void answer_if(struct program *p, uint32_t value, uint32_t what)
{
	add(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
	answer(p, what);
}

static void build(struct program *p)
{
	const uint32_t no = SECCOMP_RET_ERRNO | EPERM;

	load(p, offsetof(struct seccomp_data, arch));
	add(p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	answer(p, SECCOMP_RET_KILL_PROCESS);
	load(p, offsetof(struct seccomp_data, nr));
	add(p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	answer(p, SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		answer_if(p, allowed[i], SECCOMP_RET_ALLOW);
	add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_mknodat, 1, 0);
	answer(p, no);
	load(p, offsetof(struct seccomp_data, args[2]));
	add(p, BPF_ALU | BPF_AND | BPF_K, S_IFMT, 0, 0);
	answer_if(p, S_IFBLK, no);
	add(p, BPF_JMP | BPF_JEQ | BPF_K, S_IFCHR, 1, 0);
	answer(p, SECCOMP_RET_ALLOW);
	load(p, offsetof(struct seccomp_data, args[3]));
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		answer_if(p, devices[i], SECCOMP_RET_ALLOW);
	answer(p, no);
}

struct err *filter_enter(void)
{
	struct program p = { .n = 0 };
	struct sock_fprog prog;

	build(&p);
	prog = (struct sock_fprog) { .len = p.n, .filter = p.code };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		return err_sys(errno, "seccomp filter");
	return NULL;
}
