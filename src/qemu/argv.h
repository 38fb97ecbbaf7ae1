/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_ARGV_H
#define QEMU_ARGV_H

/*
 * Argv: from the plan's host.vm and host.net to QEMU's command line, and to the list of
 * files that it needs.  QEMU runs without privileges and opens nothing of ours: the
 * starter opens every file and passes descriptors, numbered as this table says.
 *
 * Pure.
 */

#include <stdbool.h>

#include "json/json.h"
#include "util/err.h"
#include "util/str.h"

/* Descriptors of QEMU; 0 is /dev/null, 1 and 2 go to the shim. */
enum qemu_fd {
	QEMU_FD_QMP = 3,
	QEMU_FD_CONSOLE = 4,
	QEMU_FD_AGENT = 5,
	QEMU_FD_TAP = 6,
	QEMU_FD_FILES = 7, /* qemu_files()[i] is QEMU_FD_FILES + i */
};

/*
 * A restored one (the starter sets host.vm.restored in its copy of the plan) has three more
 * after the files: the guest's memory, which is mapped and never written, the state of its devices,
 * and what is preloaded (preload.h).
 */
#define QEMU_FD_RAM(n_files)   (QEMU_FD_FILES + (int)(n_files))
#define QEMU_FD_STATE(n_files) (QEMU_FD_FILES + (int)(n_files) + 1)
#define QEMU_FD_LIB(n_files)   (QEMU_FD_FILES + (int)(n_files) + 2)
#define QEMU_FDS_MAX           (QEMU_FD_FILES + QEMU_FILES_MAX + 3)

#define QEMU_FILES_MAX 40

#define QEMU_SERIAL_IMAGE "hostel-image" /* as guest/root.h has them */
#define QEMU_SERIAL_RW    "hostel-rw"
#define QEMU_AGENT_PORT   "hostel.agent"

/* Borrowed from the plan. */
struct qemu_file {
	const char *path;
	bool is_writable;
	bool is_read_whole; /* kernel and the like: read at once, by /proc/self/fd */
};

/**
 * qemu_files() - what QEMU reads and writes, in the order of their descriptors
 * @plan:   the whole plan
 * @ret:    QEMU_FILES_MAX slots
 * @ret_n:  how many are used
 * Return: NULL; ERR_INVALID for a plan without host.vm; ERR_LIMIT for too many disks.
 */
struct err *qemu_files(const json_t *plan, struct qemu_file *ret, size_t *ret_n) MUST_USE;

/**
 * qemu_argv() - the command line, program first
 * @ret: appended to
 * Return: as qemu_files(); ERR_INVALID naming a member that is missing.
 */
struct err *qemu_argv(const json_t *plan, struct strv *ret) MUST_USE;

/**
 * qemu_devices() - what of a command line makes the machine that the guest sees: a state can be
 * brought back only by a QEMU that has the same
 * Left out: paths, names, addresses, descriptors, where the memory comes from.
 * @ret: appended to, "option value"
 */
void qemu_devices(const struct strv *argv, struct strv *ret);

/** qemu_ram_block() - what QEMU calls the guest's memory in its streams; static storage */
const char *qemu_ram_block(const json_t *plan);

/** qemu_wants_tap() - has this VM a network card? */
bool qemu_wants_tap(const json_t *plan);

#endif
