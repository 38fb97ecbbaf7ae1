/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_JAIL_H
#define SYS_JAIL_H

#include "util/err.h"

/**
 * jail_enter() - make @dir, with what is mounted below it, the root of this process, for good
 * In mount, network, IPC and UTS namespaces of its own; left are the capabilities to write
 * files of any owner, device nodes and overlayfs attributes, and no new privileges.
 * Context: a child made for this; open descriptors stay open.
 */
struct err *jail_enter(const char *dir) MUST_USE;

/** jail_private_mounts() - a mount namespace of our own, of which nobody else hears */
struct err *jail_private_mounts(void) MUST_USE;

/** jail_drop_privileges() - the last step of jail_enter(): capabilities, no new privileges, filter
 */
struct err *jail_drop_privileges(void) MUST_USE;

#endif
