/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_TTY_H
#define CTR_TTY_H

/* A pty of the instance's own devpts. */

#include "util/err.h"

/**
 * ctr_tty_open() - open a pair, give the master to the shim
 * @report:     socket to the shim
 * @rows, @cols: size; 0: leave it
 * @ret_slave:  owned by the caller
 * @ret_index:  its number in /dev/pts
 * Context: inside the instance's mount namespace.
 */
struct err *ctr_tty_open(int report, unsigned short rows, unsigned short cols, int *ret_slave,
			 int *ret_index) MUST_USE;

/** ctr_tty_console() - bind /dev/pts/@index to /dev/console */
struct err *ctr_tty_console(int index) MUST_USE;

#endif
