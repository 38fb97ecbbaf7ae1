/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "util/mem.h"
#include "util/test.h"

#define ALLOW SECCOMP_RET_ALLOW
#define DENY  (SECCOMP_RET_ERRNO | EPERM)
#define NOSYS (SECCOMP_RET_ERRNO | ENOSYS)

struct program {
	struct sock_filter *code;
	size_t n;
};

static uint32_t load(const struct seccomp_data *d, uint32_t at)
{
	uint32_t v;

	assert_true(at + sizeof(v) <= sizeof(*d));
	memcpy(&v, (const char *)d + at, sizeof(v));
	return v;
}

static bool jumps(uint16_t code, uint32_t a, uint32_t k)
{
	if (BPF_OP(code) == BPF_JEQ)
		return a == k;
	if (BPF_OP(code) == BPF_JGT)
		return a > k;
	if (BPF_OP(code) == BPF_JGE)
		return a >= k;
	assert_int_equal(BPF_OP(code), BPF_JSET);
	return a & k;
}

/* What the kernel would answer; the few instructions that seccomp programs have. */
static uint32_t run(const struct program *p, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < p->n; pc++) {
		const struct sock_filter *i = &p->code[pc];

		if (BPF_CLASS(i->code) == BPF_LD)
			a = load(d, i->k);
		else if (BPF_CLASS(i->code) == BPF_ALU)
			a &= i->k;
		else if (i->code == (BPF_JMP | BPF_JA))
			pc += i->k;
		else if (BPF_CLASS(i->code) == BPF_JMP)
			pc += jumps(i->code, a, i->k) ? i->jt : i->jf;
		else if (i->code == (BPF_RET | BPF_K))
			return i->k;
		else
			fail_msg("instruction %#x", i->code);
	}
	fail_msg("program has no end");
	return 0;
}

static struct program compile(const char *profile, const char *cap)
{
	OWN(json) json_t *j = NULL;
	OWN(strv) struct strv caps = { 0 };
	struct program p = { 0 };
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
		struct program p = compile(NULL, cases[i].cap);
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

static void programs_of_32_bits_are_filtered_by_their_own_numbers(void **state)
{
	struct program p = compile(NULL, NULL);
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
	struct program p = compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_profile_answers_as_docker_does),
		cmocka_unit_test(programs_of_32_bits_are_filtered_by_their_own_numbers),
		cmocka_unit_test(a_profile_of_the_user_is_taken_literally),
		cmocka_unit_test(what_is_no_profile_is_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
