/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_SPLIT_H
#define QEMU_SPLIT_H

/*
 * Split: QEMU's migration stream in two: the guest's memory as a file that can be mapped, and all
 * else as a stream that QEMU reads as before (to it, the memory is just there already).
 *
 *	header, configuration
 *	"ram" section: list of blocks, pages … EOS      pages of one block go to the memory file
 *	… again, until it is done
 *	devices, description                            as they are
 *
 * Context: blocks; a process of its own.
 * Spec: QEMU docs/devel/migration.rst; the layout of the ram section as QEMU 7.2 writes it, without
 * compression, multifd, post-copy or shared memory.
 */

#include <stdint.h>

#include "util/err.h"

struct split {
	int from;           /* QEMU's stream, read until its end */
	int stream, memory; /* files, empty and writable */
	const char *block;  /* name of the guest's memory */
	uint64_t block_bytes;
};

struct split_counts {
	uint64_t memory_bytes, stream_bytes; /* written; memory's holes not counted */
};

/**
 * split_stream() - Return: NULL; ERR_CORRUPT for what is not such a stream, or ends too early;
 * ERR_UNSUPPORTED naming what it holds that this does not know; a system error of writing.
 */
struct err *split_stream(const struct split *s, struct split_counts *ret) MUST_USE;

#endif
