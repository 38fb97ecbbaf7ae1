/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_VM_H
#define CLI_VM_H

/*
 * Machines: options of hostel vm create.
 */

#include "cli/opt.h"

extern const struct opt_table vm_options;

#endif
