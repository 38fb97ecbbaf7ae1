/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOOT_CPIO_H
#define BOOT_CPIO_H

/*
 * A cpio archive of the form newc, as the kernel unpacks it for an initramfs.  Owner root,
 * time 0: the same content gives the same bytes.  Pure.
 *
 * Spec: Documentation/driver-api/early-userspace/buffer-format.rst
 */

#include "util/str.h"

struct cpio {
	struct str out;
	unsigned inode; /* last one given */
};

/** cpio_dir() - a folder, mode 0755; parents come first */
void cpio_dir(struct cpio *c, const char *path);

/** cpio_file() - a regular file; @path without a leading slash, @mode: permission bits */
void cpio_file(struct cpio *c, const char *path, unsigned mode, const void *data, size_t len);

/** cpio_chardev() - a character device, mode 0600 */
void cpio_chardev(struct cpio *c, const char *path, unsigned major, unsigned minor);

/** cpio_end() - the trailer, padded to 512 bytes; nothing may follow */
void cpio_end(struct cpio *c);

static inline void own_cpio_release(struct cpio *c)
{
	str_done(&c->out);
}

#endif
