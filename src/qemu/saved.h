/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_SAVED_H
#define QEMU_SAVED_H

/*
 * Saved: what a checkpoint of a VM leaves in its folder, and who may bring it back.
 *
 *	vm.json   ours: what machine it is of, and where the agent's port stood
 *	memory    the guest's memory as it is, holes where it is zero: it is mapped, by as many
 *	          restored VMs as there are, and each keeps what it changes to itself
 *	stream    QEMU's migration stream without that memory
 *
 * vm.json:
 *	{ "version": 1, "format": "hostel-vm", "id": "64 hex digits", "name": "web",
 *	  "qemu": 7002,                        7.2
 *	  "machine": { "machine": "q35", "accel": "tcg", "cpu": "max", "vcpus": 1,
 *	               "memory_bytes": 536870912, "tsc_khz": 2400000, "devices": ["-device …"] },
 *	  "memory_bytes": 61000000,            in "memory", holes not counted
 *	  "stream_bytes": 260000,
 *	  "port": { struct saved_state, "unread": "hex", "unsent": "hex", "execs": [3, 5] } }
 *
 * A state goes back only into the same machine: the same QEMU release, devices, memory, processor,
 * and rate of the time stamp counter.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/port.h"
#include "json/json.h"
#include "util/err.h"

#define SAVED_JSON     "vm.json"
#define SAVED_STREAM   "stream"
#define SAVED_MEMORY   "memory"
#define SAVED_EXECS    64             /* that can be named; more are not saved */
#define SAVED_PORT_MAX (1024u * 1024) /* bytes unread or unsent */

/* Where a port stood: crosses from the starter to the shim as it is. */
struct saved_state {
	uint32_t is_restored;
	uint32_t qemu;   /* version that wrote it */
	uint32_t is_new; /* another instance than the one that was saved */
	uint32_t is_tty, has_stdin;
	uint32_t last_id; /* highest number of an exec or a question so far */
	struct agent_pump_state in, out, err;
	uint32_t n_execs;
	uint16_t execs[SAVED_EXECS]; /* that ran */
	int32_t state_fd;            /* QEMU's descriptor of the stream */
	uint32_t n_unread, n_unsent; /* bytes of each, which follow */
};

/**
 * saved_machine() - the "machine" of a plan that qemu_plan_complete() has seen
 * Return: NULL; as qemu_argv().
 */
struct err *saved_machine(const json_t *plan, json_t **ret) MUST_USE;

/**
 * saved_check() - may @now bring back what is @saved?
 * @saved, @now: as saved_machine() gives them
 * Return: NULL; ERR_UNSUPPORTED with one line that names the first thing that differs.
 */
struct err *saved_check(const json_t *saved, const json_t *now) MUST_USE;

/**
 * saved_load() - read and check a checkpoint's vm.json
 * @plan:       of the start that wants it
 * @ret:        without descriptors
 * @ret_unread: bytes, owned by the caller; @ret_unsent likewise
 * Return: NULL; ERR_CORRUPT for a file that is none of ours or damaged; ERR_UNSUPPORTED as
 *         saved_check(), and for a newer version.
 */
struct err *saved_load(const char *dir, const json_t *plan, struct saved_state *ret,
		       struct str *ret_unread, struct str *ret_unsent) MUST_USE;

/* What the shim knows of it. */
struct saving {
	const char *state_dir; /* plan.json */
	int dir_fd;            /* where to */
	int from;              /* what QEMU writes, until its end */
	struct saved_state state;
	const void *unread, *unsent;
};

/**
 * saved_write() - all three files
 * Context: a child of the shim; blocks until QEMU has written all.
 */
struct err *saved_write(const struct saving *s) MUST_USE;

#endif
