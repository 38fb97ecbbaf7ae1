/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOOT_BZIMAGE_H
#define BOOT_BZIMAGE_H

/*
 * An x86 kernel image: its version, and the plain ELF kernel inside.  QEMU boots the latter
 * through its PVH entry without unpacking and relocating it, which takes half a second when
 * instructions are emulated.
 *
 * All bytes are foreign.  Pure.
 * Spec: Documentation/arch/x86/boot.rst
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum bzimage_packing {
	PACKED_PLAIN,
	PACKED_LZ4,
	PACKED_GZIP,
	PACKED_XZ,
	PACKED_ZSTD,
	PACKED_OTHER
};

struct bzimage {
	char version[128]; /* "6.1.0-56-cloud-amd64" */
	size_t payload_at; /* the packed kernel; length 0: unknown */
	size_t payload_len;
	uint32_t payload_size; /* unpacked */
	enum bzimage_packing packing;
};

/** bzimage_parse() - ERR_UNSUPPORTED for what is no x86 bzImage */
struct err *bzimage_parse(const void *data, size_t len, struct bzimage *ret) MUST_USE;

/**
 * lz4_unpack() - LZ4's legacy frame, as the kernel packs itself
 * @out, @size: room for the content, which must be of this size
 * Return: NULL, or ERR_CORRUPT.
 */
struct err *lz4_unpack(const void *data, size_t len, void *out, size_t size) MUST_USE;

/** elf_has_pvh_entry() - has an x86-64 ELF kernel the note XEN_ELFNOTE_PHYS32_ENTRY? */
bool elf_has_pvh_entry(const void *data, size_t len);

#endif
