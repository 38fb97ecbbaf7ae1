/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_ROOT_H
#define GUEST_ROOT_H

/*
 * Root: the instance's root file system inside its VM: the image's EROFS (virtio disk
 * with the serial GUEST_DISK_IMAGE), under an overlay whose upper folder lies on the
 * instance's own ext4 disk (GUEST_DISK_RW).
 *
 * Context: pid 1 of a VM; blocks.
 */

#include <stdbool.h>

#include "json/json.h"
#include "util/err.h"

#define GUEST_DISK_IMAGE "hostel-image"
#define GUEST_DISK_RW    "hostel-rw"
#define GUEST_ROOT       "/run/root"

/** guest_mount_root() - mount it all at GUEST_ROOT; @is_readonly: without the upper folder */
struct err *guest_mount_root(bool is_readonly) MUST_USE;

/** guest_unmount_root() - everything is unmounted, or read-only at least, and on disk */
void guest_unmount_root(void);

/** guest_write_files() - the plan's guest.files below GUEST_ROOT; links are never followed out */
struct err *guest_write_files(const json_t *files) MUST_USE;

#endif
