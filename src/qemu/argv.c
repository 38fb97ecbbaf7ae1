/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/argv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "qemu/preload.h"
#include "util/mem.h"

#define MIB        (1024 * 1024)
#define RAM_OPTION ",memory-backend="

/*
 * Translated code, in MiB; QEMU would take up to 1 GiB.  A booting kernel fills 57, but with
 * 32 it takes no more cpu time (docs/numbers.md), and each VM costs 32 less.
 */
#define TB_MIB "32"

/* What both functions walk: the files in order, and the parts of the plan. */
struct view {
	const json_t *plan, *host, *vm, *rootfs, *disks;
	bool is_microvm, is_restored;
	struct qemu_file *files; /* NULL: only counted */
	size_t n_files;
};

static struct view view_of(const json_t *plan)
{
	const json_t *host = json_object_get(plan, "host");
	const json_t *vm = json_object_get(host, "vm");

	return (struct view) { .plan = plan,
			       .host = host,
			       .vm = vm,
			       .rootfs = json_object_get(host, "rootfs"),
			       .disks = json_object_get(vm, "disks"),
			       .is_microvm = !strcmp(jx_str(vm, "machine", "q35"), "microvm"),
			       .is_restored = jx_bool(vm, "restored", false) };
}

/* Number of the descriptor that the next file gets; -1: there is no such file. */
static int next_file(struct view *v, const char *path, bool is_writable, bool is_read_whole)
{
	if (!path)
		return -1;
	if (v->files && v->n_files < QEMU_FILES_MAX)
		v->files[v->n_files] = (struct qemu_file) { path, is_writable, is_read_whole };
	return QEMU_FD_FILES + (int)v->n_files++;
}

/* ---- parts; each appends to the command line (NULL: files are listed only) ---- */

static void add(struct strv *argv, const char *option, const char *fmt, ...) PRINTF(3, 4);

static void add(struct strv *argv, const char *option, const char *fmt, ...)
{
	char value[4096];
	va_list ap;

	if (!argv)
		return;
	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	strv_add(argv, option);
	strv_add(argv, value);
}

static void flag(struct strv *argv, const char *option)
{
	if (argv)
		strv_add(argv, option);
}

/*
 * Parts of the board that a VM of ours has no use for are left out: each costs the
 * guest's kernel a probe.
 */
static void add_machine(struct view *v, struct strv *argv)
{
	const char *accel = jx_str(v->vm, "accel", "tcg");
	bool is_kvm = !strcmp(accel, "kvm");
	bool is_agent = jx_bool(v->vm, "agent", false);
	const char *options = v->is_microvm ? "microvm,x-option-roms=off,rtc=on,pit=off,pic=off"
			      : is_agent    ? "q35,usb=off,vmport=off,smbus=off,sata=off"
					    : "q35,usb=off,vmport=off,graphics=off";

	add(argv, "-machine", "%s%s%s", options, v->is_restored ? RAM_OPTION : "",
	    v->is_restored ? qemu_ram_block(v->plan) : "");
	add(argv, "-accel", is_kvm ? "kvm" : "tcg,thread=multi,tb-size=" TB_MIB);
	add(argv, "-cpu", is_kvm ? "host" : "max");
	add(argv, "-smp", "%" PRId64, jx_int(v->vm, "vcpus", 1));
	add(argv, "-m", "%" PRId64 "M", jx_int(v->vm, "memory_bytes", 0) / MIB);
	flag(argv, "-nodefaults");
	flag(argv, "-no-user-config");
	add(argv, "-display", "none");
	flag(argv, "-no-reboot");
	add(argv, "-rtc", "base=utc");
	add(argv, "-sandbox",
	    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

static void add_firmware(struct view *v, struct strv *argv)
{
	int code = next_file(v, jx_str(v->vm, "firmware_code", NULL), false, false);
	int vars = next_file(v, jx_str(v->vm, "firmware_vars", NULL), true, false);
	const struct {
		const char *node;
		int fd, unit;
	} flashes[] = { { "code", code, 0 }, { "vars", vars, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(flashes); i++) {
		if (flashes[i].fd < 0)
			continue;
		add(argv, "-add-fd", "fd=%d,set=%d", flashes[i].fd, flashes[i].fd);
		/* Else it is opened read-only first, and the descriptor is not. */
		add(argv, "-drive", "if=pflash,unit=%d,format=raw,file=/dev/fdset/%d%s",
		    flashes[i].unit, flashes[i].fd, i ? ",auto-read-only=off" : ",readonly=on");
	}
}

static void add_kernel(struct view *v, struct strv *argv)
{
	int kernel = next_file(v, jx_str(v->vm, "kernel", NULL), false, true);
	int initrd = next_file(v, jx_str(v->vm, "initrd", NULL), false, true);
	const char *append = jx_str(v->vm, "append", NULL);

	if (kernel >= 0)
		add(argv, "-kernel", "/proc/self/fd/%d", kernel);
	if (initrd >= 0)
		add(argv, "-initrd", "/proc/self/fd/%d", initrd);
	if (kernel >= 0 && append) {
		flag(argv, "-append");
		flag(argv, append);
	}
}

static const char *device(const struct view *v, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s-%s", name, v->is_microvm ? "device" : "pci");
	return buf;
}

static void add_channels(struct view *v, struct strv *argv)
{
	char serial[64];

	add(argv, "-chardev", "socket,id=qmp,fd=%d", QEMU_FD_QMP);
	add(argv, "-mon", "chardev=qmp,mode=control");
	add(argv, "-chardev", "socket,id=console,fd=%d", QEMU_FD_CONSOLE);
	add(argv, "-serial", "chardev:console");
	if (!jx_bool(v->vm, "agent", false))
		return;
	add(argv, "-chardev", "socket,id=agent,fd=%d", QEMU_FD_AGENT);
	add(argv, "-device", "%s,max_ports=2", device(v, "virtio-serial", serial, sizeof(serial)));
	add(argv, "-device", "virtserialport,nr=1,chardev=agent,name=" QEMU_AGENT_PORT);
}

struct disk {
	const char *node;
	int fd;
	bool is_readonly, is_transient;    /* transient: the guest's flushes are not waited for */
	const char *format, *backing_node; /* NULL: none */
	const char *serial;                /* NULL: none */
	int boot_index;                    /* 0: not booted from */
};

/* A file node, and a format node above it unless it is raw. */
static void add_blockdev(struct strv *argv, const struct disk *d)
{
	const char *readonly = d->is_readonly ? ",read-only=on" : "";

	add(argv, "-add-fd", "fd=%d,set=%d", d->fd, d->fd);
	if (!strcmp(d->format, "raw")) {
		add(argv, "-blockdev",
		    "driver=file,node-name=%s,filename=/dev/fdset/%d,discard=unmap%s%s", d->node,
		    d->fd, readonly, d->is_transient ? ",cache.no-flush=on" : "");
		return;
	}
	add(argv, "-blockdev",
	    "driver=file,node-name=%s-file,filename=/dev/fdset/%d,discard=unmap%s", d->node, d->fd,
	    readonly);
	add(argv, "-blockdev", "driver=%s,node-name=%s,file=%s-file,discard=unmap%s%s%s", d->format,
	    d->node, d->node, readonly, d->backing_node ? ",backing=" : "",
	    d->backing_node ? d->backing_node : "");
}

static void add_disk(struct view *v, struct strv *argv, const struct disk *d)
{
	char blk[64], index[32] = "";

	if (d->fd < 0 || !argv)
		return;
	add_blockdev(argv, d);
	if (d->boot_index)
		snprintf(index, sizeof(index), ",bootindex=%d", d->boot_index);
	add(argv, "-device", "%s,drive=%s%s%s%s", device(v, "virtio-blk", blk, sizeof(blk)),
	    d->node, d->serial ? ",serial=" : "", d->serial ? d->serial : "", index);
}

static void add_image(struct view *v, struct strv *argv)
{
	bool is_readonly = jx_bool(v->rootfs, "readonly", false);
	struct disk image = {
		.node = "image", .format = "raw", .is_readonly = true, .serial = QEMU_SERIAL_IMAGE
	};
	struct disk rw = { .node = "rw",
			   .format = "raw",
			   .is_transient = jx_bool(v->rootfs, "transient", false),
			   .serial = QEMU_SERIAL_RW };

	image.fd = next_file(v, jx_str(v->rootfs, "erofs", NULL), false, false);
	rw.fd = is_readonly ? -1 : next_file(v, jx_str(v->rootfs, "disk", NULL), true, false);
	add_disk(v, argv, &image);
	add_disk(v, argv, &rw);
}

static void add_disks(struct view *v, struct strv *argv)
{
	json_t *d;
	size_t i;

	json_array_foreach(v->disks, i, d)
	{
		const char *backing = jx_str(d, "backing", NULL);
		bool is_readonly = jx_bool(d, "readonly", false);
		char node[32], below[32];
		struct disk base = { .node = below,
				     .is_readonly = true,
				     .format = jx_str(d, "backing_format", "raw") };
		struct disk disk = { .node = node,
				     .is_readonly = is_readonly,
				     .format = jx_str(d, "format", "raw"),
				     .backing_node = backing ? below : NULL,
				     .boot_index = (int)i + 1 };

		snprintf(node, sizeof(node), "disk%zu", i);
		snprintf(below, sizeof(below), "base%zu", i);
		base.fd = next_file(v, backing, false, false);
		if (base.fd >= 0 && argv)
			add_blockdev(argv, &base);
		disk.fd = next_file(v, jx_str(d, "path", NULL), !is_readonly, false);
		add_disk(v, argv, &disk);
	}
}

static void add_network(struct view *v, struct strv *argv)
{
	const json_t *net = json_object_get(v->host, "net");
	char card[64];

	if (!qemu_wants_tap(v->plan))
		return;
	add(argv, "-netdev", "tap,id=net,fd=%d", QEMU_FD_TAP);
	/* romfile: no boot from the network, and no ROM to load */
	add(argv, "-device", "%s,netdev=net,mac=%s%s", device(v, "virtio-net", card, sizeof(card)),
	    jx_str(net, "mac", ""), v->is_microvm ? "" : ",romfile=");
}

bool qemu_wants_tap(const json_t *plan)
{
	const json_t *net = json_object_get(json_object_get(plan, "host"), "net");

	return !strcmp(jx_str(net, "mode", "none"), "bridge");
}

const char *qemu_ram_block(const json_t *plan)
{
	return view_of(plan).is_microvm ? "microvm.ram" : "pc.ram";
}

/* Comes after all files, whose number gives its descriptors. */
static void add_restored(struct view *v, struct strv *argv)
{
	if (!v->is_restored)
		return;
	add(argv, "-object",
	    "memory-backend-file,id=%s,x-use-canonical-path-for-ramblock-id=off,size=%" PRId64
	    "M,mem-path=" QEMU_RAM_PATH "%d,share=off",
	    qemu_ram_block(v->plan), jx_int(v->vm, "memory_bytes", 0) / MIB,
	    QEMU_FD_RAM(v->n_files));
	flag(argv, "-S");
	add(argv, "-incoming", "defer");
}

/* The one order of files. */
static void walk(struct view *v, struct strv *argv)
{
	add_machine(v, argv);
	add_firmware(v, argv);
	/* A restored guest has booted, and never will again (-no-reboot): QEMU would hold a copy.
	 */
	if (!v->is_restored)
		add_kernel(v, argv);
	add_channels(v, argv);
	add_image(v, argv);
	add_disks(v, argv);
	add_network(v, argv);
	add_restored(v, argv);
}

static struct err *check(const struct view *v)
{
	if (!json_is_object(v->vm))
		return err_new(ERR_INVALID, "plan: no host.vm");
	if (jx_int(v->vm, "memory_bytes", 0) < MIB)
		return err_new(ERR_INVALID, "plan: host.vm.memory_bytes");
	if (json_array_size(v->disks) > 16)
		return err_new(ERR_LIMIT, "a machine has at most 16 disks");
	return NULL;
}

struct err *qemu_files(const json_t *plan, struct qemu_file *ret, size_t *ret_n)
{
	struct view v = view_of(plan);

	TRY(check(&v));
	v.files = ret;
	walk(&v, NULL);
	*ret_n = v.n_files;
	return NULL;
}

struct err *qemu_argv(const json_t *plan, struct strv *ret)
{
	struct view v = view_of(plan);

	TRY(check(&v));
	strv_add(ret, jx_str(v.vm, "qemu", "/usr/bin/qemu-system-x86_64"));
	add(ret, "-name", "%s", jx_str(plan, "name", "vm"));
	walk(&v, ret);
	return NULL;
}

/* Up to where a value is the guest's business; 0: not at all. */
static size_t device_part(const char *option, const char *value)
{
	static const struct {
		const char *option, *until;
	} seen[] = { { "-machine", RAM_OPTION }, { "-accel", NULL },    { "-cpu", NULL },
		     { "-smp", NULL },           { "-m", NULL },        { "-rtc", NULL },
		     { "-drive", ",file=" },     { "-device", ",mac=" } };

	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		const char *end = seen[i].until ? strstr(value, seen[i].until) : NULL;

		if (streq(option, seen[i].option))
			return end ? (size_t)(end - value) : strlen(value);
	}
	return 0;
}

void qemu_devices(const struct strv *argv, struct strv *ret)
{
	for (size_t i = 0; i + 1 < argv->n; i++) {
		size_t n = device_part(argv->v[i], argv->v[i + 1]);
		OWN(mem)
		char *text = n ? xasprintf("%s %.*s", argv->v[i], (int)n, argv->v[i + 1]) : NULL;

		if (text)
			strv_add(ret, text);
	}
}
