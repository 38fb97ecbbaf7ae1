/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostel-shim with one kind, "exec": plain programs on the host.  For tests/test_shim.py.
 */
#include "shim/program.h"
#include "shim/testing/exec_payload.h"
#include "util/defs.h"

int main(int argc, char **argv)
{
	static const struct payload_ops *const kinds[] = { &exec_payload_ops };

	return shim_program(argc, argv, kinds, ARRAY_SIZE(kinds));
}
