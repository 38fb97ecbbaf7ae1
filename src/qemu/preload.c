/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded into a QEMU that is restored, and nothing but that.
 *
 * QEMU opens the file of a guest's memory for writing even when it maps it privately (before 8.2
 * there is no option against it), so whoever broke out of one guest could change what the others
 * that were restored from the same file see.  The starter opens it for reading, and here QEMU gets
 * that descriptor when it opens QEMU_RAM_PATH and the descriptor's number.
 *
 * Built by itself, without a C library's startup; embedded in hostel-shim (meson.build).
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "qemu/preload.h"

#define VISIBLE __attribute__((visibility("default")))

VISIBLE int open64(const char *path, int flags, ...);
VISIBLE int __open64_2(const char *path, int flags);

static int open_any(const char *path, int flags, unsigned mode)
{
	if (!strncmp(path, QEMU_RAM_PATH, sizeof(QEMU_RAM_PATH) - 1))
		return fcntl(atoi(path + sizeof(QEMU_RAM_PATH) - 1), F_DUPFD_CLOEXEC, 3);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	unsigned mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	return open_any(path, flags, mode);
}

int __open64_2(const char *path, int flags)
{
	return open_any(path, flags, 0);
}
