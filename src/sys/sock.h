/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_SOCK_H
#define SYS_SOCK_H

/*
 * Unix sockets and descriptor passing.  All descriptors are CLOEXEC.
 */

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "util/err.h"
#include "util/fd.h"

#define SOCK_MSG_FDS_MAX 8

/**
 * sock_listen_unix() - bind and listen on a path
 * @path: at most 107 bytes are directly bindable; a longer one is bound by way of its folder's
 *        /proc/self/fd path; an old socket there is replaced
 * @type: SOCK_STREAM or SOCK_SEQPACKET
 * @mode: permission bits of the socket
 */
struct err *sock_listen_unix(const char *path, int type, unsigned mode, int *ret_fd) MUST_USE;

/** sock_connect_unix() - blocking connect to a path (as sock_listen_unix() for long ones) */
struct err *sock_connect_unix(const char *path, int type, int *ret_fd) MUST_USE;

/**
 * sock_send_msg() - one message with descriptors
 * @fds, @n_fds: borrowed, at most SOCK_MSG_FDS_MAX
 * Return: NULL; ERR_UNAVAILABLE (EAGAIN) when a non-blocking socket is full; a system error.
 */
struct err *sock_send_msg(int sock, const void *data, size_t len, const int *fds,
			  size_t n_fds) MUST_USE;

/**
 * sock_recv_msg() - one message with descriptors
 * @buf, @size: where to
 * @ret_len:    bytes received, 0 at end of file
 * @fds:        SOCK_MSG_FDS_MAX slots, owned by the caller; unused ones are -1
 * @flags:      MSG_DONTWAIT or 0
 * Return: NULL; ERR_UNAVAILABLE (EAGAIN) when nothing is there; ERR_CORRUPT for a message longer
 *         than @size or with too many descriptors; a system error.
 */
struct err *sock_recv_msg(int sock, void *buf, size_t size, int flags, size_t *ret_len,
			  int fds[SOCK_MSG_FDS_MAX]) MUST_USE;

/** sock_pair() - a connected pair of unix sockets of a type */
struct err *sock_pair(int type, int ret_fds[2]) MUST_USE;

/** sock_peer_cred() - SO_PEERCRED of a unix socket */
struct err *sock_peer_cred(int sock, struct ucred *ret) MUST_USE;

#endif
