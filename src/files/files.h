/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FILES_FILES_H
#define FILES_FILES_H

/*
 * Files of an instance, as docker cp, diff and export see them: the same code in a worker,
 * for containers, and in hostel-guest, for VMs.
 *
 * Context: the instance's root is the root of the process, but for files_diff(); blocks.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "json/json.h"
#include "tar/tar.h"

struct files_of {
	const char *path; /* inside */
	const char *name; /* of the instance, for messages; may be NULL */
	int proc_fd;      /* our own /proc/self/fd, opened before the root was entered */
};

/** files_base_name() - what Go's filepath.Base() says; owned by the caller */
char *files_base_name(const char *path);

/** files_stat() - {name,size,mode,mtime,linkTarget} as X-Docker-Container-Path-Stat has them
 *  Return: NULL; ERR_NOT_FOUND and ERR_INVALID in Docker's words. */
struct err *files_stat(const struct files_of *f, json_t **ret) MUST_USE;

/** files_get() - what @f names and all below it; finishes the writer */
struct err *files_get(const struct files_of *f, struct tar_writer *w) MUST_USE;

/** files_export() - the whole root; finishes the writer */
struct err *files_export(struct tar_writer *w) MUST_USE;

/** files_put_place() - the folder that an archive is to be extracted into */
struct err *files_put_place(const struct files_of *f, int *ret_fd) MUST_USE;

/**
 * files_diff() - what an instance changed over its image
 * @lower_fd: the image's tree, read-only
 * @upper_fd: overlayfs' upper folder, consumed; -1: nothing was changed yet
 * @mounts:   array of {target}: mount points that a start makes, left out
 * @ret:      array of {Path, Kind}, sorted
 */
struct err *files_diff(int lower_fd, int upper_fd, const json_t *mounts, json_t **ret) MUST_USE;

/**
 * files_enter_process() - the mounts and the root of a running process become ours
 * @without_mounts: nothing of what is mounted over its root (export)
 * Return: NULL; ERR_NOT_FOUND when it is gone.
 */
struct err *files_enter_process(pid_t pid, bool without_mounts) MUST_USE;

#endif
