/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "seccomp/compact.h"
#include "seccomp/profile.h"
#include "seccomp/rule.h"
#include "util/fd.h"
#include "util/mem.h"

#define X32_BIT   0x40000000
#define NR_MAX    511 /* looked at even if no rule goes so far */
#define STUB_MAX  32
#define ARGS_MAX  6
#define BYTES_MAX (BPF_MAXINSNS * sizeof(struct sock_filter))

/* What this machine is called by whom. */
static const struct machine {
	const char *uname, *docker;
	uint32_t token;
} machines[] = {
	{ "x86_64", "amd64", SCMP_ARCH_X86_64 },
	{ "aarch64", "arm64", SCMP_ARCH_AARCH64 },
};

/* Architectures that a filter here may be asked for. */
static const struct arch {
	const char *name;
	uint32_t token, audit;
	uint32_t bit; /* set in its system call numbers */
} arches[] = {
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0 },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64, X32_BIT },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86, AUDIT_ARCH_I386, 0 },
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, 0 },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM, AUDIT_ARCH_ARM, 0 },
};

struct build {
	const json_t *profile;
	struct rule_context context;
	const struct machine *machine;
	scmp_filter_ctx ctx;
	uint32_t fallback;             /* action for what no rule names */
	bool uses[ARRAY_SIZE(arches)]; /* which of them are in the filter */
	int last[ARRAY_SIZE(arches)];  /* highest system call that a rule names */
	struct strv special;           /* system calls with a rule on arguments */
	bool only_special;             /* this filter is the tail of a short one */
};

static void own_build_release(struct build *b)
{
	if (b->ctx)
		seccomp_release(b->ctx);
	strv_done(&b->special);
}

struct err *seccomp_default(json_t **ret)
{
	return jx_parse(default_profile, strlen(default_profile), ret);
}

/* ---- architectures ---- */

static struct err *find_machine(struct build *b)
{
	struct utsname u;

	uname(&u);
	sscanf(u.release, "%u.%u", &b->context.kernel_major, &b->context.kernel_minor);
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (!strcmp(machines[i].uname, u.machine)) {
			b->machine = &machines[i];
			b->context.arch = machines[i].docker;
			return NULL;
		}
	return err_new(ERR_UNSUPPORTED, "no seccomp filters for %s yet", u.machine);
}

static struct err *add_arch(struct build *b, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
		if (!streq(arches[i].name, name))
			continue;
		int r = seccomp_arch_add(b->ctx, arches[i].token);

		if (r < 0 && r != -EEXIST)
			return err_sys(-r, "seccomp architecture %s", name);
		b->uses[i] = true;
		return NULL;
	}
	return NULL; /* one that no program of this machine can have */
}

static struct err *add_list(struct build *b, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		TRY(add_arch(b, json_string_value(json_array_get(list, i))));
	return NULL;
}

/* "architectures" is a plain list; "archMap" has those of the native one. */
static struct err *add_arches(struct build *b)
{
	const json_t *map = json_object_get(b->profile, "archMap");

	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		if (arches[i].token == b->machine->token)
			b->uses[i] = true;
	TRY(add_list(b, json_object_get(b->profile, "architectures")));
	for (size_t i = 0; i < json_array_size(map); i++) {
		const json_t *j = json_array_get(map, i);

		for (size_t k = 0; k < ARRAY_SIZE(arches); k++)
			if (streq(arches[k].name, jx_str(j, "architecture", NULL)) &&
			    arches[k].token == b->machine->token)
				TRY(add_list(b, json_object_get(j, "subArchitectures")));
	}
	return NULL;
}

/* ---- rules ---- */

static void note_last(struct build *b, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
		int nr = b->uses[i] ? seccomp_syscall_resolve_name_arch(arches[i].token, name) : -1;

		nr = nr < 0 ? nr : (int)((uint32_t)nr & ~arches[i].bit);
		if (nr > b->last[i])
			b->last[i] = nr;
	}
}

static struct err *add_rule(struct build *b, uint32_t action, int nr, const char *name,
			    const struct scmp_arg_cmp *args, unsigned n)
{
	int r = seccomp_rule_add_array(b->ctx, action, nr, n, args);

	/* The same rule twice is none the worse. */
	if (r < 0 && r != -EEXIST)
		return err_sys(-r, "seccomp rule for %s", name);
	return NULL;
}

static bool has_double(const struct scmp_arg_cmp *args, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = i + 1; k < n; k++)
			if (args[i].arg == args[k].arg)
				return true;
	return false;
}

static struct err *add_name(struct build *b, uint32_t action, const char *name,
			    const struct scmp_arg_cmp *args, unsigned n)
{
	int nr = seccomp_syscall_resolve_name(name);

	if (nr == __NR_SCMP_ERROR)
		return NULL; /* of a later kernel than our libseccomp knows */
	if (b->only_special && !strv_has(&b->special, name))
		return NULL;
	if (n && !b->only_special)
		strv_add(&b->special, name);
	note_last(b, name);
	if (action == b->fallback)
		return NULL; /* libseccomp refuses what changes nothing */
	if (!has_double(args, n))
		return add_rule(b, action, nr, name, args, n);
	/* As runc: several conditions on one argument are alternatives. */
	for (unsigned i = 0; i < n; i++)
		TRY(add_rule(b, action, nr, name, &args[i], 1));
	return NULL;
}

static struct err *add_entry(struct build *b, const json_t *j)
{
	const json_t *names = json_object_get(j, "names"), *list = json_object_get(j, "args");
	unsigned n = (unsigned)json_array_size(list);
	struct scmp_arg_cmp args[ARGS_MAX];
	uint32_t action = 0;

	if (!rule_applies(j, &b->context))
		return NULL;
	if (n > ARGS_MAX)
		return err_new(ERR_INVALID, "seccomp rule with %u arguments", n);
	TRY(rule_action(jx_str(j, "action", NULL), (unsigned)jx_int(j, "errnoRet", EPERM),
			&action));
	for (unsigned i = 0; i < n; i++)
		TRY(rule_arg(json_array_get(list, i), &args[i]));
	if (jx_str(j, "name", NULL)) /* the form of old profiles */
		TRY(add_name(b, action, jx_str(j, "name", ""), args, n));
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		if (!name)
			return err_new(ERR_INVALID, "seccomp rule with a name that is no string");
		TRY(add_name(b, action, name, args, n));
	}
	return NULL;
}

static struct err *add_entries(struct build *b)
{
	const json_t *list = json_object_get(b->profile, "syscalls");

	for (size_t i = 0; i < json_array_size(list); i++)
		TRY_MSG(add_entry(b, json_array_get(list, i)), "seccomp profile, rule %zu", i);
	return NULL;
}

/* ---- the program ---- */

/*
 * In front: a number above the last one that any rule names is a system call later than
 * the profile, which is answered as an older kernel would.
 */
static size_t make_stub(const struct build *b, struct sock_filter *out)
{
	const struct sock_filter load_arch =
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	const struct sock_filter load_nr =
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	const struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
		uint32_t last = (uint32_t)b->last[i] | arches[i].bit;

		if (!b->uses[i] || b->last[i] < 0)
			continue;
		out[n++] = load_arch;
		out[n++] =
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arches[i].audit, 0, 4);
		out[n++] = load_nr;
		/* x86_64 and x32 are one architecture to the kernel: skip the other's numbers. */
		out[n++] =
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT,
						 arches[i].bit ? 0 : 2, arches[i].bit ? 2 : 0);
		out[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 0, 1);
		out[n++] = refuse;
	}
	return n;
}

static struct err *export(const struct build *b, struct bpf_program *ret)
{
	OWN(fd) int fd = memfd_create("bpf", MFD_CLOEXEC);
	OWN(mem) void *buf = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return err_sys(errno, "memfd");
	r = seccomp_export_bpf(b->ctx, fd);
	if (r < 0)
		return err_sys(-r, "compile seccomp filter");
	if (fstat(fd, &st) < 0)
		return err_sys(errno, "seccomp filter");
	TRY_MSG(try_alloc((size_t)st.st_size, BYTES_MAX, &buf), "seccomp filter");
	if (pread(fd, buf, (size_t)st.st_size, 0) != st.st_size)
		return err_sys(errno ? errno : EIO, "read seccomp filter");
	ret->code = TAKE(buf);
	ret->n = (size_t)st.st_size / sizeof(struct sock_filter);
	return NULL;
}

/* A context with all rules, or those of special system calls only. */
static struct err *fill(struct build *b, bool only_special)
{
	if (b->ctx)
		seccomp_release(b->ctx);
	b->only_special = only_special;
	b->ctx = seccomp_init(b->fallback);
	if (!b->ctx)
		return err_new(ERR_INVALID, "libseccomp refuses the default action");
	TRY(add_arches(b));
	return add_entries(b);
}

static bool answers_enosys(const struct build *b)
{
	return b->fallback == SCMP_ACT_ERRNO(EPERM);
}

static size_t abis_of(const struct build *b, struct compact_abi *out)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		if (b->uses[i])
			out[n++] = (struct compact_abi) {
				.arch = arches[i].audit,
				.bit = arches[i].bit,
				.last = b->last[i] < 0 ? NR_MAX : (uint32_t)b->last[i],
				.has_later = answers_enosys(b) && b->last[i] >= 0,
				.later = SECCOMP_RET_ERRNO | ENOSYS,
			};
	return n;
}

/* The full program with the stub in front: long, but always right. */
static void make_full(const struct build *b, struct bpf_program *p)
{
	struct sock_filter stub[STUB_MAX];
	size_t n = answers_enosys(b) ? make_stub(b, stub) : 0;
	struct sock_filter *all = xcalloc(n + p->n, sizeof(*all));

	memcpy(all, stub, n * sizeof(*all));
	memcpy(all + n, p->code, p->n * sizeof(*all));
	free(p->code);
	*p = (struct bpf_program) { all, n + p->n };
}

/* Make @p, the full program, a shorter one where that can be. */
static struct err *shorten(struct build *b, struct bpf_program *p)
{
	struct compact_abi abis[ARRAY_SIZE(arches)];
	struct bpf_program tail = { 0 }, made = { 0 };
	struct compact c = { .abis = abis, .full = p, .tail = &tail };

	c.n_abis = abis_of(b, abis);
	TRY(fill(b, true));
	TRY(export(b, &tail));

	OWN(err) struct err *e = compact_make(&c, &made);

	free(tail.code);
	if (e || made.n >= p->n) {
		free(made.code);
		make_full(b, p);
		return NULL;
	}
	free(p->code);
	*p = made;
	return NULL;
}

struct err *seccomp_compile(const json_t *profile, const struct strv *caps, void **ret,
			    size_t *ret_len)
{
	OWN(build) struct build b = { .profile = profile, .context = { .caps = caps } };
	struct bpf_program p = { 0 };
	struct err *e;

	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		b.last[i] = -1;
	if (!json_is_object(profile))
		return err_new(ERR_INVALID, "seccomp profile must be a JSON object");
	TRY(find_machine(&b));
	TRY(rule_action(jx_str(profile, "defaultAction", NULL),
			(unsigned)jx_int(profile, "defaultErrnoRet", EPERM), &b.fallback));
	TRY(fill(&b, false));
	TRY(export(&b, &p));
	e = shorten(&b, &p);
	if (e) {
		free(p.code);
		return e;
	}
	*ret = p.code;
	*ret_len = p.n * sizeof(*p.code);
	return NULL;
}

static struct err *load_profile(const json_t *profile, json_t **ret)
{
	const char *name = json_string_value(profile);

	if (!name) {
		*ret = json_incref((json_t *)(uintptr_t)profile);
		return NULL;
	}
	if (!strcmp(name, "default"))
		return seccomp_default(ret);
	if (name[0] == '{') {
		TRY_MSG(jx_parse(name, strlen(name), ret), "seccomp profile");
		return NULL;
	}
	TRY_MSG(jx_load(AT_FDCWD, name, ret), "seccomp profile");
	return NULL;
}

struct err *seccomp_compile_file(const json_t *profile, const struct strv *caps, bool keep_project,
				 const char *out)
{
	OWN(json) json_t *loaded = NULL;
	OWN(mem) void *bpf = NULL;
	size_t len = 0;

	TRY(load_profile(profile, &loaded));
	TRY(seccomp_compile(loaded, caps, &bpf, &len));
	if (keep_project)
		seccomp_keep_project(&bpf, &len);
	return fd_write_file(AT_FDCWD, out, bpf, len, 0644);
}
