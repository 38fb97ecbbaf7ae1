/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_EARLY_H
#define GUEST_EARLY_H

/*
 * Early: what the first process of a VM does before it can listen: kernel file
 * systems, modules, out of the initramfs, the port.
 *
 * Must come in this order: file systems, modules (virtio needs them), move (pivot_root
 * is impossible in an initramfs), port.
 *
 * Context: pid 1 of a VM; blocks.
 */

#include "util/err.h"

#define GUEST_PORT_NAME "hostel.agent"

/** guest_mount_kernel_fs() - /dev, /proc, /sys, /dev/pts, /dev/shm */
struct err *guest_mount_kernel_fs(void) MUST_USE;

/**
 * guest_load_modules() - insert what /modules.list names, one path a line, in its order
 * A module that is there already, or that finds no device, is fine.
 */
struct err *guest_load_modules(void) MUST_USE;

/**
 * guest_leave_initramfs() - a tmpfs becomes the root
 * @ret_old: folder of the old one, for guest_delete_initramfs()
 */
struct err *guest_leave_initramfs(int *ret_old) MUST_USE;

/** guest_delete_initramfs() - free the memory that its files take; consumes @old */
void guest_delete_initramfs(int old);

/** guest_open_port() - wait for the virtio port named GUEST_PORT_NAME (at most 10 s) */
struct err *guest_open_port(int *ret_fd) MUST_USE;

#endif
