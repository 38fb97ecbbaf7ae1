/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_PROGRAM_H
#define SHIM_PROGRAM_H

/*
 * hostel-shim as a program: its command line (shim/proto.h) and its three modes.
 */

#include <stddef.h>

#include "backend/payload.h"

/** shim_program() - parse, run; @kinds: tables of the payloads it can have. Return: exit code */
int shim_program(int argc, char **argv, const struct payload_ops *const *kinds, size_t n_kinds);

#endif
