/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/payload.h"
#include "qemu/payload.h"
#include "shim/program.h"
#include "util/defs.h"

int main(int argc, char **argv)
{
	static const struct payload_ops *const kinds[] = { &ctr_payload_ops, &qemu_payload_ops,
							   &machine_payload_ops };

	return shim_program(argc, argv, kinds, ARRAY_SIZE(kinds));
}
