/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_CRIU_MSG_H
#define CTR_CRIU_MSG_H

/*
 * What `criu swrk` is asked and answers: messages of Protocol Buffers, one per packet of a
 * SEQPACKET socket.  Only the fields that we use; numbers as criu 4.2 has them.  An encoder of our
 * own, since the shim is static and small, and these are a dozen fields.
 *
 * Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

#define CRIU_MSG_MAX 4096 /* of an answer */

enum criu_type {
	CRIU_DUMP = 1,
	CRIU_RESTORE = 2,
	CRIU_NOTIFY = 6,
	CRIU_VERSION = 10,
};

/* Field numbers of the options; what is not set has criu's default. */
enum criu_opt {
	CRIU_OPT_IMAGES_FD = 1,
	CRIU_OPT_PID = 2,
	CRIU_OPT_LEAVE_RUNNING = 3,
	CRIU_OPT_TCP_ESTABLISHED = 5,
	CRIU_OPT_FILE_LOCKS = 8,
	CRIU_OPT_LOG_LEVEL = 9,
	CRIU_OPT_LOG_FILE = 10,
	CRIU_OPT_NOTIFY = 12,
	CRIU_OPT_ROOT = 13,
	CRIU_OPT_WORK_FD = 17,
	CRIU_OPT_SIBLING = 26,
	CRIU_OPT_INHERIT_FD = 27,
	CRIU_OPT_CGROUPS = 34,
	CRIU_OPT_GHOST_LIMIT = 35,
	CRIU_OPT_EXTERNAL = 37,
	CRIU_OPT_FREEZE_CGROUP = 44,
	CRIU_OPT_TIMEOUT = 45,
	CRIU_OPT_ORPHAN_PTS = 50,
	CRIU_OPT_NETWORK_LOCK = 64,
};

#define CRIU_CGROUPS_IGNORE 0
#define CRIU_LOCK_SKIP      3

/* An answer; texts are borrowed from its bytes and not NUL-terminated. */
struct criu_answer {
	uint64_t type; /* enum criu_type */
	bool success;
	int32_t pid; /* RESTORE, NOTIFY: of the first process; 0: none */
	int32_t cr_errno;
	const char *script; /* NOTIFY: which stage; NULL: none */
	size_t script_len;
	const char *message; /* the first error in its log; NULL: none */
	size_t message_len;
	unsigned major, minor, sublevel; /* VERSION */
};

/** criu_opt_number() - set an option that is a number or a switch (1) */
void criu_opt_number(struct str *opts, enum criu_opt field, uint64_t value);

/** criu_opt_text() - set an option that is a text, or add to one that is a list */
void criu_opt_text(struct str *opts, enum criu_opt field, const char *text);

/** criu_opt_inherit() - what it would make as @key, it takes from its descriptor @fd */
void criu_opt_inherit(struct str *opts, const char *key, int fd);

/** criu_request() - a request with its options (may be empty) */
void criu_request(struct str *msg, enum criu_type type, const struct str *opts);

/** criu_notified() - the answer to a NOTIFY: go on, or give up */
void criu_notified(struct str *msg, bool go_on);

/**
 * criu_answer_read() - take an answer apart
 * @data, @len: the packet; must stay while @ret is used
 * Return: NULL, or ERR_CORRUPT.
 */
struct err *criu_answer_read(const void *data, size_t len, struct criu_answer *ret) MUST_USE;

#endif
