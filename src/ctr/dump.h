/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_DUMP_H
#define CTR_DUMP_H

/*
 * The state of a container, written to a folder and brought back from it.
 *
 * The folder holds criu's images, its log, and what this module has to know to restore them,
 * written last (DUMP_DOC; docs/protocols.md):
 *
 *	{"version":1,"kind":"container","tty":false,"own_net":true,"stdin_ended":false,
 *	 "pipes":["pipe:[81]",null,null],"owner":0,
 *	 "mounts":[{"key":"m0","at":"/etc/hosts","to":"/etc/hosts","rest":""},
 *		   {"key":"m1","at":"/sys/fs/cgroup/cpu","cgroup":"cpu"},
 *		   {"key":"m2","at":"/sys","host":"/sys"}]}
 *
 * A mount "to" is the plan's one for this destination (and what lies below it), whatever its source
 *is in the plan that it is restored with.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

#define DUMP_DOC     "container.json"
#define DUMP_VERSION 1
#define DUMP_STDIN   "stdin" /* what lay in its pipe, unread */
#define DUMP_LOG     "dump.log"
#define RESTORE_LOG  "restore.log"
#define DUMP_PIPES   3
#define DUMP_NET_KEY "net"
#define DUMP_TIME_NS INT64_C(120000000000)

struct ctr_dump {
	const char *state_dir;
	int dir_fd;
	pid_t pid; /* the first process; all in its cgroup are frozen */
	bool is_tty;
	ino_t pipes[DUMP_PIPES]; /* of its stdio, whose other ends are ours; 0: none */
	int64_t frozen_ns;       /* when it was frozen, CLOCK_BOOTTIME */
	int report;              /* socket to the shim, see ctr/report.h */
};

/**
 * ctr_dump_run() - in a forked child: write it, then end
 * Reports HELD for each link whose packets are held, then DUMPED or FAILED.  All stands still
 * afterwards, and the links stay held.
 */
_Noreturn void ctr_dump_run(const struct ctr_dump *d);

#endif
