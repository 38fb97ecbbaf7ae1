/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules.  v1 has files for them; v2 has a BPF program on the group, which is asked
 * for each mknod and open.
 * Spec: kernel Documentation/admin-guide/cgroup-v1/devices.rst, cgroup-v2.rst#device-controller.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/cgroup_int.h"
#include "util/fd.h"
#include "util/mem.h"

/* ---- v1 ---- */

/* "c 1:3 rwm", "c *:* m" */
static void rule_text(const struct cgroup_device *d, char *buf, size_t size)
{
	char major[24] = "*", minor[24] = "*";

	if (d->major >= 0)
		snprintf(major, sizeof(major), "%ld", d->major);
	if (d->minor >= 0)
		snprintf(minor, sizeof(minor), "%ld", d->minor);
	snprintf(buf, size, "%c %s:%s %s", d->type, major, minor, d->access[0] ? d->access : "rwm");
}

static struct err *put_v1(const char *path, const struct cgroup_device *d)
{
	const char *file = d->allow ? "devices.allow" : "devices.deny";
	char text[80];

	/* "a" alone is what the kernel takes for everything. */
	if (d->type == 'a')
		return cgroup_put("devices", path, file, "a");
	rule_text(d, text, sizeof(text));
	return cgroup_put("devices", path, file, "%s", text);
}

/* ---- v2 ---- */

#define RULE_MAX 10 /* instructions of one rule, at most */
#define HEAD_MAX 8  /* … before and after them */

enum { R_RESULT, R_CONTEXT, R_ACCESS, R_TYPE, R_MAJOR, R_MINOR, R_WANTED };

struct program {
	struct bpf_insn *v;
	size_t n;
};

static void add(struct program *p, uint8_t code, int dst, int src, int16_t off, int32_t imm)
{
	p->v[p->n++] = (struct bpf_insn) {
		.code = code,
		.dst_reg = (unsigned)dst & 0xf,
		.src_reg = (unsigned)src & 0xf,
		.off = off,
		.imm = imm,
	};
}

/* Leave the rule when @reg is (@op) @value; where to is filled in at its end. */
static void leave_if(struct program *p, uint8_t op, int reg, int64_t value)
{
	add(p, BPF_JMP | op | BPF_K, reg, 0, 0, (int32_t)value);
}

static int32_t access_bits(const struct cgroup_device *d)
{
	const char *a = d->access[0] ? d->access : "rwm";

	return (strchr(a, 'm') ? BPF_DEVCG_ACC_MKNOD : 0) |
	       (strchr(a, 'r') ? BPF_DEVCG_ACC_READ : 0) |
	       (strchr(a, 'w') ? BPF_DEVCG_ACC_WRITE : 0);
}

static void add_rule(struct program *p, const struct cgroup_device *d)
{
	int32_t bits = access_bits(d);
	size_t start = p->n;

	if (d->type != 'a')
		leave_if(p, BPF_JNE, R_TYPE,
			 d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (d->type != 'a' && d->major >= 0)
		leave_if(p, BPF_JNE, R_MAJOR, d->major);
	if (d->type != 'a' && d->minor >= 0)
		leave_if(p, BPF_JNE, R_MINOR, d->minor);
	/* Allowed is what asks for no more than this, denied what asks for any of it. */
	add(p, BPF_ALU | BPF_MOV | BPF_X, R_WANTED, R_ACCESS, 0, 0);
	add(p, BPF_ALU | BPF_AND | BPF_K, R_WANTED, 0, 0, d->allow ? ~bits & 7 : bits);
	leave_if(p, d->allow ? BPF_JNE : BPF_JEQ, R_WANTED, 0);
	add(p, BPF_ALU | BPF_MOV | BPF_K, R_RESULT, 0, 0, d->allow);
	add(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (size_t i = start; i < p->n; i++)
		if (BPF_CLASS(p->v[i].code) == BPF_JMP && BPF_OP(p->v[i].code) != BPF_EXIT)
			p->v[i].off = (int16_t)(p->n - i - 1);
}

static void load(struct program *p, int reg, size_t offset)
{
	add(p, BPF_LDX | BPF_MEM | BPF_W, reg, R_CONTEXT, (int16_t)offset, 0);
}

/* The last rule that fits decides, as with v1's files. */
static struct program make_program(const struct cgroup_device *devices, size_t n)
{
	struct program p = { .v = xcalloc(n * RULE_MAX + HEAD_MAX, sizeof(*p.v)) };

	load(&p, R_ACCESS, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	load(&p, R_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	load(&p, R_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
	add(&p, BPF_ALU | BPF_MOV | BPF_X, R_TYPE, R_ACCESS, 0, 0);
	add(&p, BPF_ALU | BPF_AND | BPF_K, R_TYPE, 0, 0, 0xffff);
	add(&p, BPF_ALU | BPF_RSH | BPF_K, R_ACCESS, 0, 0, 16);
	while (n-- > 0)
		add_rule(&p, &devices[n]);
	add(&p, BPF_ALU | BPF_MOV | BPF_K, R_RESULT, 0, 0, 1);
	add(&p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return p;
}

static int load_program(const struct program *p)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uint64_t)(uintptr_t)p->v,
		.insn_cnt = (uint32_t)p->n,
		.license = (uint64_t)(uintptr_t) "Apache-2.0",
	};

	return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

struct err *cgroup_attach_devices(const char *dir, const struct cgroup_device *devices, size_t n)
{
	OWN(fd) int group = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN(fd) int prog = -1;
	struct program p;

	if (group < 0)
		return err_sys(errno, "open cgroup %s", dir);
	p = make_program(devices, n);
	prog = load_program(&p);
	free(p.v);
	if (prog < 0)
		return err_sys(errno, "load the device rules of cgroup %s", dir);
	union bpf_attr attr = {
		.target_fd = (uint32_t)group,
		.attach_bpf_fd = (uint32_t)prog,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI,
	};

	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		return err_sys(errno, "attach device rules to cgroup %s", dir);
	return NULL;
}

struct err *cgroup_put_devices(const char *path, const struct cgroup_limits *l)
{
	if (!l->n_devices)
		return NULL;
	if (cgroup_is_v2()) {
		OWN(mem) char *dir = cgroup_dir("", path);

		return cgroup_attach_devices(dir, l->devices, l->n_devices);
	}
	if (!cgroup_has("devices", path, "devices.allow"))
		return NULL;
	for (size_t i = 0; i < l->n_devices; i++)
		TRY_MSG(put_v1(path, &l->devices[i]), "device rule %zu", i);
	return NULL;
}
