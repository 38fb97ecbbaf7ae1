/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot/blob.h"
#include "sys/spawn.h"
#include "util/fd.h"
#include "util/mem.h"

#define KERNEL_MAX (256UL << 20)

struct err *unpack_deb(const char *deb, const char *into)
{
	const char *const argv[] = { "dpkg-deb", "-x", deb, into, NULL };
	static const int fds[] = { -1, -1, -1 };
	const struct spawn s = { .path = "/usr/bin/dpkg-deb",
				 .argv = (char *const *)(uintptr_t)argv,
				 .fds = fds,
				 .n_fds = 3 };

	return spawn_run(&s, NULL);
}

static const struct {
	const char *suffix; /* of a module's file */
	enum bzimage_packing packing;
	const char *path, *program;
} tools[] = {
	{ ".xz", PACKED_XZ, "/usr/bin/xz", "xz" },
	{ ".gz", PACKED_GZIP, "/bin/gzip", "gzip" },
	{ ".zst", PACKED_ZSTD, "/usr/bin/zstd", "zstd" },
};

/* Run tools[i] from one descriptor to another. @ret_code: exit code */
static struct err *decompress(size_t i, int in, int out, int *ret_code)
{
	const char *const argv[] = { tools[i].program, "-dc", NULL };
	const int fds[] = { in, out, -1 };
	const struct spawn s = { .path = tools[i].path,
				 .argv = (char *const *)(uintptr_t)argv,
				 .fds = fds,
				 .n_fds = 3 };
	OWN(fd) int pidfd = -1;
	pid_t pid;

	TRY(spawn_program(&s, &pid, &pidfd));
	return spawn_reap(pidfd, ret_code);
}

static struct err *create(const char *path, int *ret)
{
	*ret = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return *ret < 0 ? err_sys(errno, "create %s", path) : NULL;
}

struct err *unpack_module(const char *from, const char *to)
{
	const char *dot = strrchr(from, '.');
	OWN(blob) struct blob plain = { 0 };
	OWN(fd) int in = open(from, O_RDONLY | O_CLOEXEC);
	OWN(fd) int out = -1;
	int code = 0;

	if (in < 0)
		return err_sys(errno, "open %s", from);
	TRY(create(to, &out));
	for (size_t i = 0; dot && i < ARRAY_SIZE(tools); i++) {
		if (!streq(dot, tools[i].suffix))
			continue;
		TRY(decompress(i, in, out, &code));
		return code ? err_new(ERR_CORRUPT, "%s: %s failed", from, tools[i].program) : NULL;
	}
	TRY(blob_open(from, &plain));
	return fd_write_all(out, plain.p, plain.len);
}

static struct err *kernel_by_tool(const void *data, const struct bzimage *b, size_t i,
				  const char *to)
{
	OWN(fd) int packed = memfd_create("kernel", MFD_CLOEXEC);
	OWN(fd) int out = -1;
	int code;

	if (packed < 0)
		return err_sys(errno, "make memory file");
	TRY(fd_write_all(packed, (const char *)data + b->payload_at, b->payload_len));
	if (lseek(packed, 0, SEEK_SET) < 0)
		return err_sys(errno, "rewind");
	TRY(create(to, &out));
	/* The exit code says nothing: some packers are followed by padding.  The size says all. */
	return decompress(i, packed, out, &code);
}

static struct err *kernel_by_lz4(const void *data, const struct bzimage *b, const char *to)
{
	OWN(mem) void *plain = NULL;
	OWN(fd) int out = -1;

	TRY(try_alloc(b->payload_size, KERNEL_MAX, &plain));
	TRY(lz4_unpack((const char *)data + b->payload_at, b->payload_len, plain, b->payload_size));
	TRY(create(to, &out));
	return fd_write_all(out, plain, b->payload_size);
}

static struct err *unpack_by_kind(const void *data, const struct bzimage *b, const char *to)
{
	if (!b->payload_len)
		return err_new(ERR_UNSUPPORTED, "no packed kernel is inside");
	if (b->packing == PACKED_LZ4)
		return kernel_by_lz4(data, b, to);
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
		if (b->packing == tools[i].packing)
			return kernel_by_tool(data, b, i, to);
	return err_new(ERR_UNSUPPORTED, "the kernel is packed in an unknown way");
}

static struct err *check_kernel(const char *path, const struct bzimage *b)
{
	OWN(blob) struct blob k = { 0 };

	TRY(blob_open(path, &k));
	if (k.len != b->payload_size)
		return err_new(ERR_CORRUPT, "unpacked kernel has %zu bytes, expected %u", k.len,
			       b->payload_size);
	if (!elf_has_pvh_entry(k.p, k.len))
		return err_new(ERR_UNSUPPORTED, "the kernel has no PVH entry");
	return NULL;
}

struct err *unpack_kernel(const void *data, const struct bzimage *b, const char *to)
{
	struct err *e = unpack_by_kind(data, b, to);

	if (!e)
		e = check_kernel(to, b);
	if (e)
		unlink(to);
	return e;
}
