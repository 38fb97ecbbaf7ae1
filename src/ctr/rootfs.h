/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_ROOTFS_H
#define CTR_ROOTFS_H

/*
 * The root file system of a container: host.rootfs of the plan (model/plan.h),
 * mounted inside the container's own mount namespace, so that it goes with it.
 */

#include "json/json.h"
#include "util/err.h"

/**
 * ctr_disk_attach() - make the disk image when it does not exist yet, and a loop device on it
 * @rootfs: plan's host.rootfs
 * @ret_fd: loop device, which vanishes with its last user; -1 when the plan has no disk
 * Context: on the host, in the starter; runs mke2fs the first time.
 */
struct err *ctr_disk_attach(const json_t *rootfs, int *ret_fd) MUST_USE;

/**
 * ctr_rootfs_mount() - mount it at @target, which is made when missing
 * @disk_fd:   from ctr_disk_attach(); borrowed
 * @state_dir: instances/ID
 * Context: in a mount namespace of our own, whose mounts are private.
 */
struct err *ctr_rootfs_mount(const json_t *rootfs, int disk_fd, const char *state_dir,
			     const char *target) MUST_USE;

/** ctr_rootfs_enter() - pivot_root into @target; nothing of the host's tree is left */
struct err *ctr_rootfs_enter(const char *target) MUST_USE;

#endif
