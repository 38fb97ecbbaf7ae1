/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MIGRATE_CARRY_H
#define MIGRATE_CARRY_H

/*
 * hostel-migrate: the bytes of one migration on one side (docs/protocols.md, "Migration").  It
 * decides nothing: words of the two daemons go through it unread, trees go when its daemon says so.
 */

#include <stddef.h>

struct carry_fds {
	int job;        /* one JSON object */
	int out;        /* lines of JSON for the daemon */
	int control;    /* lines of JSON of the daemon; its end is ours */
	int connection; /* of a receiver; consumed */
};

/** carry_run() - until the daemon says so or something breaks; Return: exit code */
int carry_run(const struct carry_fds *fds);

#endif
