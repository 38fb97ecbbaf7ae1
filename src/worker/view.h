/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_VIEW_H
#define WORKER_VIEW_H

/*
 * Seeing an instance's root file system from a worker, by the job's "rootfs":
 * that of a running one by its pid, that of a stopped one mounted here.  All mounts
 * are in a namespace of the worker's own, over hostel's tmp folder, and end with it.
 *
 * Context: worker; once per process.
 */

#include "worker/job.h"

enum view_kind {
	VIEW_READ,      /* nothing is written */
	VIEW_WRITE,     /* upper and work are made when missing */
	VIEW_NO_MOUNTS, /* as VIEW_READ, without what is mounted over the root (export) */
};

/**
 * view_enter() - make the instance's root the root of this process, and drop privileges
 * The tmp folder of the job must not be in use.
 * Return: NULL; ERR_NOT_FOUND when the pid is gone; a system error.
 */
struct err *view_enter(struct job *j, enum view_kind kind) MUST_USE;

/**
 * view_mount_lowers() - mount folders (topmost first) as one read-only tree
 * @target: where; a folder
 * Context: in a private mount namespace
 */
struct err *view_mount_lowers(const struct strv *lowers, const char *target) MUST_USE;

/**
 * view_open_upper() - the folder that holds what an instance changed
 * @ret_fd: -1 when it has none yet
 * Context: in a private mount namespace; a disk is mounted at @target
 */
struct err *view_open_upper(const json_t *rootfs, const char *target, int *ret_fd) MUST_USE;

/** view_tmp() - the folder that views are mounted over; owned by the caller */
struct err *view_tmp(const struct job *j, char **ret) MUST_USE;

#endif
