/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOOT_UNPACK_H
#define BOOT_UNPACK_H

/*
 * Programs that unpack: dpkg-deb, xz, gzip, zstd.  Only kernels that the administrator
 * names come this way, and they run no less privileged code later on.
 */

#include "boot/bzimage.h"

/** unpack_deb() - the files of a .deb below the existing folder @into */
struct err *unpack_deb(const char *deb, const char *into) MUST_USE;

/** unpack_module() - copy or decompress (.xz, .gz, .zst) a module to a new file @to */
struct err *unpack_module(const char *from, const char *to) MUST_USE;

/**
 * unpack_kernel() - write the plain kernel inside a bzImage to a new file @to
 * @data: the whole image
 * Return: NULL; ERR_UNSUPPORTED when it is packed in a way that we do not know or has no PVH
 *         entry (@to is then absent); ERR_CORRUPT.
 */
struct err *unpack_kernel(const void *data, const struct bzimage *b, const char *to) MUST_USE;

#endif
