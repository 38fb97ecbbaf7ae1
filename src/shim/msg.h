/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_MSG_H
#define SHIM_MSG_H

/*
 * Messages of shim/proto.h, to and from bytes.  One table says how long the body
 * of a type is and whether free bytes may follow it.  Pure; both sides use it.
 */

#include <stddef.h>

#include "shim/proto.h"
#include "util/defs.h"

struct shim_msg {
	uint32_t type; /* enum shim_msg_type, or a number we do not know */
	uint32_t seq;
	union {
		struct shim_attach attach;
		struct shim_exec exec;
		struct shim_signal signal;
		struct shim_resize resize;
		struct shim_freeze freeze;
		struct shim_hello hello;
		struct shim_reply reply; /* REPLY and FAILED */
		struct shim_started started;
		struct shim_exited exited;
		struct shim_exec_event exec_event; /* EXEC_*, DETACHED, ATTACH_ENDED */
	} body;
	const char *tail; /* borrowed from the bytes; not NUL-terminated */
	size_t tail_len;
};

enum shim_parse {
	SHIM_PARSE_OK,
	SHIM_PARSE_UNKNOWN, /* well-formed, type not known; only type and seq are set */
	SHIM_PARSE_BAD,     /* too short, wrong version, a name without its end, … */
};

/**
 * shim_msg_parse() - one packet into a typed message
 * @buf, @len: foreign bytes, any alignment
 * @ret:       written for OK and UNKNOWN
 */
enum shim_parse shim_msg_parse(const void *buf, size_t len, struct shim_msg *ret) MUST_USE;

/**
 * shim_msg_build() - a typed message into one packet
 * @m:   type, seq, body, and tail when the type has one (cut to what fits)
 * @buf: at least shim_msg_len() bytes, which is at most SHIM_MSG_MAX
 * Return: length of the packet.
 */
size_t shim_msg_build(const struct shim_msg *m, void *buf);

/** shim_msg_len() - length that shim_msg_build() will give */
size_t shim_msg_len(const struct shim_msg *m);

/** shim_msg_room() - how many bytes of tail a message of a type can carry */
size_t shim_msg_room(uint32_t type);

#endif
