/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_RENEW_H
#define GUEST_RENEW_H

/*
 * Renew: a guest whose state was saved runs again, later, elsewhere or beside the one that it was
 * copied from.  The host says what it is now: the document of START (guest/boot.h), and
 *
 *	"seed": "hex", "new": true     random bytes; another instance than the one that was saved
 *
 * Time is set by a frame of its own.
 *
 * Context: pid 1 of a VM; blocks.
 */

#include <sys/types.h>

#include "json/json.h"
#include "util/err.h"

/**
 * guest_renew_note() - keep of START's document what a renewal is compared with
 * @ret: replaced
 */
void guest_renew_note(const json_t *doc, json_t **ret);

/**
 * guest_renew() - entropy; names, files and network where they are others; of a copy its machine-id
 * @before:  by guest_renew_note(); becomes what is now
 * @payload: its pid, whose root has the machine-id; 0: none
 */
struct err *guest_renew(const json_t *doc, json_t **before, pid_t payload) MUST_USE;

#endif
