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

#include "seccomp/profile.h"
#include "seccomp/rule.h"
#include "util/fd.h"
#include "util/mem.h"

#define X32_BIT   0x40000000
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
};

static void own_build_release(struct build *b)
{
	if (b->ctx)
		seccomp_release(b->ctx);
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

static struct err *export(struct build *b, void **ret, size_t *ret_len)
{
	struct sock_filter stub[STUB_MAX];
	bool wants_stub = b->fallback == SCMP_ACT_ERRNO(EPERM);
	size_t head = wants_stub ? make_stub(b, stub) * sizeof(stub[0]) : 0;
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
	TRY_MSG(try_alloc(head + (size_t)st.st_size, BYTES_MAX, &buf), "seccomp filter");
	memcpy(buf, stub, head);
	if (pread(fd, (char *)buf + head, (size_t)st.st_size, 0) != st.st_size)
		return err_sys(errno ? errno : EIO, "read seccomp filter");
	*ret = TAKE(buf);
	*ret_len = head + (size_t)st.st_size;
	return NULL;
}

struct err *seccomp_compile(const json_t *profile, const struct strv *caps, void **ret,
			    size_t *ret_len)
{
	OWN(build) struct build b = { .profile = profile, .context = { .caps = caps } };

	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		b.last[i] = -1;
	if (!json_is_object(profile))
		return err_new(ERR_INVALID, "seccomp profile must be a JSON object");
	TRY(find_machine(&b));
	TRY(rule_action(jx_str(profile, "defaultAction", NULL),
			(unsigned)jx_int(profile, "defaultErrnoRet", EPERM), &b.fallback));
	b.ctx = seccomp_init(b.fallback);
	if (!b.ctx)
		return err_new(ERR_INVALID, "libseccomp refuses the default action");
	/* A tree of comparisons and not a list of four hundred. */
	seccomp_attr_set(b.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 1);
	TRY(add_arches(&b));
	TRY(add_entries(&b));
	return export(&b, ret, ret_len);
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

struct err *seccomp_compile_file(const json_t *profile, const struct strv *caps, const char *out)
{
	OWN(json) json_t *loaded = NULL;
	OWN(mem) void *bpf = NULL;
	size_t len = 0;

	TRY(load_profile(profile, &loaded));
	TRY(seccomp_compile(loaded, caps, &bpf, &len));
	return fd_write_file(AT_FDCWD, out, bpf, len, 0644);
}
