/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"

struct err *blob_open(const char *path, struct blob *ret)
{
	OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_new(ERR_INVALID, "%s is no file", path);
	if ((uint64_t)st.st_size > BLOB_MAX)
		return err_new(ERR_CORRUPT, "%s has %lld bytes", path, (long long)st.st_size);
	*ret = (struct blob) { 0 };
	if (!st.st_size)
		return NULL;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(errno, "map %s", path);
	*ret = (struct blob) { p, (size_t)st.st_size };
	return NULL;
}

void blob_close(struct blob *b)
{
	if (b->p)
		munmap((void *)(uintptr_t)b->p, b->len);
	*b = (struct blob) { 0 };
}
