/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_FD_H
#define UTIL_FD_H

#include "util/err.h"

/** own_fd_release() - for OWN(fd) int fd = -1 */
void own_fd_release(int *slot);

/**
 * fd_read_file() - read a small file into memory
 * @dirfd:   directory @path is relative to, or AT_FDCWD
 * @path:    file to read
 * @max:     refuse files longer than this many bytes
 * @ret_buf: NUL-terminated contents, owned by the caller (free())
 *
 * Return: NULL, or ERR_CORRUPT if the file exceeds @max, or a system error.
 */
struct err *fd_read_file(int dirfd, const char *path, size_t max, char **ret_buf) MUST_USE;

/**
 * fd_write_all() - write all of @len bytes to a blocking descriptor
 * Return: NULL, or a system error; a part may have been written.
 */
struct err *fd_write_all(int fd, const void *data, size_t len) MUST_USE;

/**
 * fd_write_file() - create or replace a file at once (temporary name, rename)
 * @dirfd: directory @path is relative to, or AT_FDCWD
 * @path:  file to write; "@path.PID.tmp" is used on the way, so that processes may
 *         write the same file at once
 * @mode:  permission bits of a new file
 * Return: NULL, or a system error; the old file is then untouched.
 */
struct err *fd_write_file(int dirfd, const char *path, const void *data, size_t len,
			  unsigned mode) MUST_USE;

/** fd_pipe() - both ends of a new pipe, close-on-exec; on failure neither is written */
struct err *fd_pipe(int *ret_read, int *ret_write) MUST_USE;

/** fd_set_nonblock() - switch O_NONBLOCK on or off; a bad descriptor is a bug */
void fd_set_nonblock(int fd, int on);

/**
 * fd_mkdirs() - create a directory and its parents, mode 0755 (an existing one is fine)
 * Return: NULL, or a system error.
 */
struct err *fd_mkdirs(const char *path) MUST_USE;

#endif
