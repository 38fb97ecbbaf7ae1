/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_PRELOAD_H
#define QEMU_PRELOAD_H

/* The shared object that is preloaded into a restored QEMU, see preload.c. */

#define QEMU_RAM_PATH "/hostel-ram/" /* and the number of a descriptor; no such folder exists */

extern const unsigned char qemu_preload[];
extern const unsigned qemu_preload_len;

#endif
