/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_FILTER_H
#define SYS_FILTER_H

#include "util/err.h"

/**
 * filter_enter() - from now on this process can read and write files and little else
 * Whoever takes over a process that unpacks foreign bytes finds no call to mount, to make
 * namespaces or processes, to trace, to load, or to make a node of a disk; EPERM answers.
 * Context: after PR_SET_NO_NEW_PRIVS; for good.
 */
struct err *filter_enter(void) MUST_USE;

#endif
