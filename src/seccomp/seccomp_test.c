/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seccomp/bpf.h"
#include "util/mem.h"
#include "util/test.h"

#define ALLOW SECCOMP_RET_ALLOW
#define DENY  (SECCOMP_RET_ERRNO | EPERM)
#define NOSYS (SECCOMP_RET_ERRNO | ENOSYS)

static uint32_t run(const struct bpf_program *p, const struct seccomp_data *d)
{
	uint64_t args[6];
	struct bpf_call call = { .arch = d->arch, .nr = (uint32_t)d->nr, .args = args };
	uint32_t answer = 0;

	memcpy(args, d->args, sizeof(args));
	assert_int_equal(bpf_run(p, &call, &answer), BPF_ANSWERED);
	return answer;
}

static struct bpf_program compile(const char *profile, const char *cap)
{
	OWN(json) json_t *j = NULL;
	OWN(strv) struct strv caps = { 0 };
	struct bpf_program p = { 0 };
	void *bpf = NULL;
	size_t len = 0;

	if (cap)
		strv_add(&caps, cap);
	if (profile)
		assert_ok(jx_parse(profile, strlen(profile), &j));
	else
		assert_ok(seccomp_default(&j));
	assert_ok(seccomp_compile(j, &caps, &bpf, &len));
	assert_int_equal(len % sizeof(struct sock_filter), 0);
	p.code = bpf;
	p.n = len / sizeof(struct sock_filter);
	return p;
}

static const struct {
	const char *cap;
	int nr;
	uint64_t arg;
	uint32_t want;
} cases[] = {
	{ NULL, SYS_read, 0, ALLOW },
	{ NULL, SYS_mount, 0, DENY },
	{ "CAP_SYS_ADMIN", SYS_mount, 0, ALLOW },
	{ NULL, SYS_clone, 0x00000011, ALLOW },
	{ NULL, SYS_clone, 0x10000011, DENY }, /* CLONE_NEWUSER */
	{ NULL, SYS_clone, 0x02000011, DENY }, /* CLONE_NEWCGROUP */
	{ "CAP_SYS_ADMIN", SYS_clone, 0x10000011, ALLOW },
	{ NULL, SYS_clone3, 0, NOSYS },
	{ "CAP_SYS_ADMIN", SYS_clone3, 0, ALLOW },
	{ NULL, SYS_unshare, 0, DENY },
	{ NULL, SYS_socket, 2, ALLOW },
	{ NULL, SYS_socket, 16, ALLOW },
	{ NULL, SYS_socket, 38, DENY }, /* AF_ALG */
	{ NULL, SYS_socket, 40, DENY }, /* AF_VSOCK */
	{ NULL, SYS_socket, 44, ALLOW },
	{ NULL, SYS_personality, 0, ALLOW },
	{ NULL, SYS_personality, 0x40000, DENY }, /* ADDR_NO_RANDOMIZE */
	{ NULL, SYS_personality, 0xffffffff, ALLOW },
	{ NULL, SYS_ptrace, 0, ALLOW },
	{ NULL, SYS_keyctl, 0, DENY },
	{ NULL, SYS_add_key, 0, DENY },
	{ NULL, SYS_bpf, 0, DENY },
	{ "CAP_BPF", SYS_bpf, 0, ALLOW },
	{ NULL, SYS_perf_event_open, 0, DENY },
	{ "CAP_PERFMON", SYS_perf_event_open, 0, ALLOW },
	{ NULL, SYS_reboot, 0, DENY },
	{ NULL, SYS_chroot, 0, DENY },
	{ "CAP_SYS_CHROOT", SYS_chroot, 0, ALLOW },
	{ NULL, SYS_io_uring_setup, 0, DENY },
	{ NULL, SYS_kexec_load, 0, DENY },
	{ NULL, SYS_userfaultfd, 0, DENY },
	{ NULL, 999, 0, NOSYS }, /* of a later kernel */
};

static void the_default_profile_answers_as_docker_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bpf_program p = compile(NULL, cases[i].cap);
		struct seccomp_data d = {
			.nr = cases[i].nr,
			.arch = AUDIT_ARCH_X86_64,
			.args = { cases[i].arg },
		};
		uint32_t got = run(&p, &d);

		if (got != cases[i].want)
			fail_msg("case %zu: call %d with %#lx gives %#x", i, cases[i].nr,
				 cases[i].arg, got);
		free(p.code);
	}
}

static void the_default_filter_is_short(void **state)
{
	struct bpf_program p = compile(NULL, NULL);

	(void)state;
	assert_true(p.n < 700);
	free(p.code);
}

static void the_filter_is_one_that_the_kernel_loads(void **state)
{
	struct bpf_program p = compile(NULL, NULL);
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct sock_fprog prog = { .len = (unsigned short)p.n, .filter = p.code };

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
			_exit(1);
		if (syscall(SYS_unshare, 0x10000000) != -1 || errno != EPERM)
			_exit(2);
		if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
			_exit(3);
		if (syscall(SYS_personality, 0xffffffff) < 0)
			_exit(4);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	free(p.code);
}

static void programs_of_32_bits_are_filtered_by_their_own_numbers(void **state)
{
	struct bpf_program p = compile(NULL, NULL);
	struct seccomp_data read32 = { .nr = 3, .arch = AUDIT_ARCH_I386 };
	struct seccomp_data mount32 = { .nr = 21, .arch = AUDIT_ARCH_I386 };
	struct seccomp_data late32 = { .nr = 999, .arch = AUDIT_ARCH_I386 };
	struct seccomp_data read_x32 = { .nr = 0x40000000, .arch = AUDIT_ARCH_X86_64 };
	struct seccomp_data late_x32 = { .nr = 0x40000999, .arch = AUDIT_ARCH_X86_64 };

	(void)state;
	assert_int_equal(run(&p, &read32), ALLOW);
	assert_int_equal(run(&p, &mount32), DENY);
	assert_int_equal(run(&p, &late32), NOSYS);
	assert_int_equal(run(&p, &read_x32), ALLOW);
	assert_int_equal(run(&p, &late_x32), NOSYS);
	free(p.code);
}

static void a_profile_of_the_user_is_taken_literally(void **state)
{
	struct bpf_program p =
	    compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
		    "[\"mkdir\",\"no_such_call\"],\"action\":\"SCMP_ACT_ERRNO\","
		    "\"errnoRet\":28}]}",
		    NULL);
	struct seccomp_data mkdir = { .nr = SYS_mkdir, .arch = AUDIT_ARCH_X86_64 };
	struct seccomp_data late = { .nr = 999, .arch = AUDIT_ARCH_X86_64 };

	(void)state;
	assert_int_equal(run(&p, &mkdir), SECCOMP_RET_ERRNO | ENOSPC);
	assert_int_equal(run(&p, &late), ALLOW);
	free(p.code);
}

static void what_is_no_profile_is_refused_with_a_reason(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"defaultAction\":\"SCMP_ACT_DANCE\"}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[1],\"action\":"
		"\"SCMP_ACT_KILL\"}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		"\"action\":\"SCMP_ACT_KILL\",\"args\":[{\"index\":9,\"op\":\"SCMP_CMP_EQ\"}]}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		"\"action\":\"SCMP_ACT_KILL\",\"args\":[{\"index\":1,\"op\":\"SCMP_CMP_IS\"}]}]}",
	};
	struct strv none = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		OWN(json) json_t *j = NULL;
		void *bpf = NULL;
		size_t len;

		assert_ok(jx_parse(bad[i], strlen(bad[i]), &j));
		assert_err(seccomp_compile(j, &none, &bpf, &len), ERR_INVALID);
	}
}

static void nobody_leaves_a_project(void **state)
{
	static const struct {
		uint32_t arch;
		int nr;
		uint64_t arg;
		uint32_t want;
	} calls[] = {
		{ AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_FSSETXATTR, DENY },
		{ AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_FSSETXATTR | 1ULL << 40, DENY },
		{ AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_FSGETXATTR, ALLOW },
		{ AUDIT_ARCH_I386, 54, FS_IOC_FSSETXATTR, DENY },
		{ AUDIT_ARCH_X86_64, SYS_read, FS_IOC_FSSETXATTR, ALLOW },
		{ AUDIT_ARCH_X86_64, SYS_mount, 0, DENY },
	};
	struct bpf_program p = compile(NULL, NULL);
	size_t len = p.n * sizeof(*p.code);
	void *bpf = p.code;

	(void)state;
	seccomp_keep_project(&bpf, &len);
	p = (struct bpf_program) { .code = bpf, .n = len / sizeof(*p.code) };
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct seccomp_data d = { .nr = calls[i].nr, .arch = calls[i].arch };

		d.args[1] = calls[i].arg;
		assert_int_equal(run(&p, &d), calls[i].want);
	}
	free(bpf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_profile_answers_as_docker_does),
		cmocka_unit_test(the_default_filter_is_short),
		cmocka_unit_test(the_filter_is_one_that_the_kernel_loads),
		cmocka_unit_test(programs_of_32_bits_are_filtered_by_their_own_numbers),
		cmocka_unit_test(a_profile_of_the_user_is_taken_literally),
		cmocka_unit_test(what_is_no_profile_is_refused_with_a_reason),
		cmocka_unit_test(nobody_leaves_a_project),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
