/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_DISK_H
#define QEMU_DISK_H

/*
 * Disk: looking at disk images without trusting them, and making ours: the sparse ext4 of
 * an image VM (mke2fs), overlays and new disks (qemu-img).
 */

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"
#include "util/err.h"

enum qemu_format { QEMU_RAW, QEMU_QCOW2, QEMU_FORMATS };

/** qemu_format_name() - "raw", "qcow2"; static storage */
const char *qemu_format_name(enum qemu_format f);

struct qemu_disk_info {
	enum qemu_format format;
	bool has_backing;   /* names another file below it */
	int64_t size_bytes; /* as the guest sees it */
};

/**
 * qemu_disk_parse() - from the first bytes of an image; pure
 * @head, @len:  at least 104 bytes for a qcow2
 * @file_bytes: of the file or device
 * Return: NULL, or ERR_UNSUPPORTED for formats that we know but do not take (vmdk, vdi, vhdx,
 *         qcow 1); ERR_CORRUPT for a broken qcow2 header.
 */
struct err *qemu_disk_parse(const uint8_t *head, size_t len, int64_t file_bytes,
			    struct qemu_disk_info *ret) MUST_USE;

/**
 * qemu_disk_probe() - look at a user's image
 * Do so once, when the machine is created, and keep the format: a guest can write
 * another header into its raw disk.
 */
struct err *qemu_disk_probe(const char *path, struct qemu_disk_info *ret) MUST_USE;

/**
 * qemu_disks_make() - make those of the plan's own disks that do not exist yet
 * Context: the starter; blocks.
 */
struct err *qemu_disks_make(const json_t *plan) MUST_USE;

#endif
