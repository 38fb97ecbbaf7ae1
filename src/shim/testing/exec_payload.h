/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_TESTING_EXEC_PAYLOAD_H
#define SHIM_TESTING_EXEC_PAYLOAD_H

/*
 * A payload for tests of the shim: a plain program on the host, without any
 * isolation.  plan.json: {"exec": {"args": [...], "fail": "text"}}.
 * Freezing is SIGSTOP.
 */

#include "backend/payload.h"

/* The table; kind "exec". */
extern const struct payload_ops exec_payload_ops;

#endif
