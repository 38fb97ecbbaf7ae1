/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/payload.h"
#include "shim/program.h"
#include "shim/testing/exec_payload.h"
#include "util/defs.h"

int main(int argc, char **argv)
{
	static const struct payload_ops *const kinds[] = { &ctr_payload_ops, &exec_payload_ops };

	return shim_program(argc, argv, kinds, ARRAY_SIZE(kinds));
}
