/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_ROOT_H
#define GUEST_ROOT_H

/*
 * Root: the disks of an instance inside its VM: the image's EROFS (virtio disk with the
 * serial GUEST_SERIAL_IMAGE) and the instance's own ext4 (GUEST_SERIAL_RW).  ctr's code
 * makes an overlay of them, in the payload's own mount namespace.
 *
 * Context: pid 1 of a VM; blocks.
 */

#include <stdbool.h>

#include "util/err.h"

#define GUEST_SERIAL_IMAGE "hostel-image"
#define GUEST_SERIAL_RW    "hostel-rw"

#define GUEST_IMAGE "/run/image" /* where they are mounted */
#define GUEST_DISK  "/run/disk"
#define GUEST_IDLE  "/run/idle" /* root of a VM without an image: busybox, if it was brought */

/** guest_mount_image() - the image, and the disk too unless @is_readonly (a tmpfs stands for it) */
struct err *guest_mount_image(bool is_readonly) MUST_USE;

/** guest_make_idle() - the root of a VM that has no image */
struct err *guest_make_idle(void) MUST_USE;

/** guest_sync() - all that was written is on disk; nothing may run any more */
void guest_sync(void);

/** guest_unmount() - the disk is clean, as after an orderly end of any machine; nothing may run */
void guest_unmount(void);

/** guest_copy_file() - a whole file; folders are not made */
struct err *guest_copy_file(const char *from, const char *to, unsigned mode) MUST_USE;

#endif
