/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/spawn.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define QCOW2_HEADER 104
#define HEAD_BYTES   512

const char *qemu_format_name(enum qemu_format f)
{
	static const char *const names[QEMU_FORMATS] = { "raw", "qcow2" };

	return f < QEMU_FORMATS ? names[f] : "?";
}

static uint64_t be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* Spec: QEMU docs/interop/qcow2.txt, header. */
static struct err *parse_qcow2(const uint8_t *head, size_t len, struct qemu_disk_info *ret)
{
	uint64_t version, size;

	if (len < QCOW2_HEADER)
		return err_new(ERR_CORRUPT, "a qcow2 image without a whole header");
	version = be(head + 4, 4);
	size = be(head + 24, 8);
	if (version == 1)
		return err_new(ERR_UNSUPPORTED,
			       "a qcow image of version 1: qemu-img convert -O qcow2 makes it new");
	if (version > 3 || size > INT64_MAX)
		return err_new(ERR_CORRUPT, "a qcow2 image with a broken header");
	*ret = (struct qemu_disk_info) { .format = QEMU_QCOW2,
					 .has_backing = be(head + 8, 8) != 0,
					 .size_bytes = (int64_t)size };
	return NULL;
}

struct err *qemu_disk_parse(const uint8_t *head, size_t len, int64_t file_bytes,
			    struct qemu_disk_info *ret)
{
	static const struct {
		const char *name;
		size_t at, len;
		const char *magic;
	} others[] = {
		{ "vmdk", 0, 4, "KDMV" },
		{ "vdi", 64, 4, "\x7f\x10\xda\xbe" },
		{ "vhdx", 0, 8, "vhdxfile" },
	};

	if (len >= 4 && !memcmp(head, "QFI\xfb", 4))
		return parse_qcow2(head, len, ret);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (len >= others[i].at + others[i].len &&
		    !memcmp(head + others[i].at, others[i].magic, others[i].len))
			return err_new(ERR_UNSUPPORTED,
				       "a disk in the format %s: qemu-img convert -O qcow2 helps",
				       others[i].name);
	*ret = (struct qemu_disk_info) { .format = QEMU_RAW, .size_bytes = file_bytes };
	return NULL;
}

struct err *qemu_disk_probe(const char *path, struct qemu_disk_info *ret)
{
	OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint8_t head[HEAD_BYTES];
	struct stat st;
	ssize_t n;
	off_t size;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(errno, "disk %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_new(ERR_INVALID, "disk %s: neither a file nor a block device", path);
	size = lseek(fd, 0, SEEK_END);
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0 || size < 0)
		return err_sys(errno, "disk %s", path);
	TRY_MSG(qemu_disk_parse(head, (size_t)n, size, ret), "disk %s", path);
	return NULL;
}

/* ---- making ours ---- */

static struct err *run_tool(const char *const *argv)
{
	struct spawn s = { .path = argv[0], .n_fds = 3, .fds = (const int[]) { -1, -1, -1 } };
	char *copy[16] = { NULL };

	for (size_t i = 0; argv[i] && i + 1 < ARRAY_SIZE(copy); i++)
		copy[i] = xstrdup(argv[i]); /* the child's process ends soon: never freed */
	s.argv = copy;
	return spawn_run(&s, NULL);
}

/* Made under another name, so that it is there whole or not at all. */
static struct err *make_once(const char *path,
			     struct err *(*make)(const char *tmp, const void *arg), const void *arg)
{
	OWN(mem) char *tmp = xasprintf("%s.tmp", path);
	struct err *e;

	if (access(path, F_OK) == 0)
		return NULL;
	(void)unlink(tmp);
	e = make(tmp, arg);
	if (!e && rename(tmp, path) < 0)
		e = err_sys(errno, "rename %s", tmp);
	if (e)
		(void)unlink(tmp);
	return e;
}

/* Inode tables and journal are not zeroed: the file is sparse, so they are. */
static struct err *make_ext4(const char *tmp, const void *arg)
{
	int64_t bytes = *(const int64_t *)arg;
	char size[32];
	const char *argv[] = { "/sbin/mke2fs",
			       "-q",
			       "-F",
			       "-t",
			       "ext4",
			       "-E",
			       "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
			       "-m",
			       "0",
			       tmp,
			       size,
			       NULL };

	snprintf(size, sizeof(size), "%" PRId64 "k", bytes / 1024);
	return run_tool(argv);
}

/* What is a hole in one file is a hole in the other. */
static struct err *copy_sparse(int from, int to)
{
	off_t size = lseek(from, 0, SEEK_END), at = 0, end;

	if (size < 0 || ftruncate(to, size) < 0)
		return err_sys(errno, "size");
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		off_t out = at;

		end = lseek(from, at, SEEK_HOLE);
		while (at < end)
			if (copy_file_range(from, &at, to, &out, (size_t)(end - at), 0) <= 0)
				return err_sys(errno, "copy");
	}
	return errno == ENXIO ? NULL : err_sys(errno, "seek");
}

/* mke2fs takes 40 ms and waits for the host's disk four times; a copy takes 5 ms. */
static struct err *copy_ext4(const char *tmp, const void *arg)
{
	OWN(fd) int from = open(arg, O_RDONLY | O_CLOEXEC);
	OWN(fd) int to = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (from < 0)
		return err_sys(errno, "open %s", (const char *)arg);
	if (to < 0)
		return err_sys(errno, "create %s", tmp);
	return copy_sparse(from, to);
}

/* Made beside the disk, so that a killed start leaves nothing elsewhere; the next one does without.
 */
static void keep_template(const char *path, const char *template)
{
	OWN(mem) char *copy = xasprintf("%s.template", path);
	OWN(err) struct err *e = make_once(copy, copy_ext4, path);
	OWN(fd) int fd = e ? -1 : open(copy, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0 || rename(copy, template) < 0)
		(void)unlink(copy);
}

static struct err *make_rw(const char *path, const char *template, int64_t bytes)
{
	if (access(path, F_OK) == 0)
		return NULL;
	if (template && access(template, F_OK) == 0)
		return make_once(path, copy_ext4, template);
	TRY(make_once(path, make_ext4, &bytes));
	if (template)
		keep_template(path, template);
	return NULL;
}

static struct err *make_overlay(const char *tmp, const void *arg)
{
	const json_t *disk = arg;
	const char *argv[] = { "/usr/bin/qemu-img",
			       "create",
			       "-q",
			       "-f",
			       "qcow2",
			       "-b",
			       jx_str(disk, "backing", ""),
			       "-F",
			       jx_str(disk, "backing_format", "raw"),
			       tmp,
			       NULL };

	return run_tool(argv);
}

static struct err *make_new(const char *tmp, const void *arg)
{
	char size[32];
	const char *argv[] = {
		"/usr/bin/qemu-img", "create", "-q", "-f", "qcow2", tmp, size, NULL
	};

	snprintf(size, sizeof(size), "%lld", (long long)jx_int(arg, "new_bytes", 0));
	return run_tool(argv);
}

static struct err *copy_vars(const char *tmp, const void *arg)
{
	const char *argv[] = { "/bin/cp", arg, tmp, NULL };

	return run_tool(argv);
}

static struct err *make_disk(const json_t *disk)
{
	const char *path = jx_str(disk, "path", "");

	if (jx_str(disk, "backing", NULL))
		TRY_MSG(make_once(path, make_overlay, disk), "make %s", path);
	else if (jx_int(disk, "new_bytes", 0))
		TRY_MSG(make_once(path, make_new, disk), "make %s", path);
	return NULL;
}

struct err *qemu_disks_make(const json_t *plan)
{
	const json_t *host = json_object_get(plan, "host");
	const json_t *rootfs = json_object_get(host, "rootfs");
	const json_t *vm = json_object_get(host, "vm");
	const json_t *disks = json_object_get(vm, "disks");
	const char *vars = jx_str(vm, "firmware_vars", NULL);
	const char *template = jx_str(vm, "firmware_template", NULL);
	const char *rw = jx_str(rootfs, "disk", NULL);
	int64_t bytes = jx_int(rootfs, "disk_bytes", 0);
	json_t *disk;
	size_t i;

	if (rw && jx_str(rootfs, "erofs", NULL) && !jx_bool(rootfs, "readonly", false))
		TRY_MSG(make_rw(rw, jx_str(rootfs, "disk_template", NULL), bytes), "make %s", rw);
	if (vars && template)
		TRY_MSG(make_once(vars, copy_vars, template), "make %s", vars);
	json_array_foreach(disks, i, disk)
	{
		TRY(make_disk(disk));
	}
	return NULL;
}
