/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/program.h"
#include "shim/testing/exec_payload.h"
#include "util/defs.h"

int main(int argc, char **argv)
{
	static const struct payload_ops *const kinds[] = { &exec_as_container_ops,
							   &exec_payload_ops };

	return shim_program(argc, argv, kinds, ARRAY_SIZE(kinds));
}
