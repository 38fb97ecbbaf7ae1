/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_DEVICES_H
#define CTR_DEVICES_H

/*
 * /dev of an instance: the nodes that every one has, those of the configuration, and
 * the usual links.  In the new root.
 * Spec: OCI runtime 1.2 config-linux.md#default-devices.
 */

#include "json/json.h"
#include "util/err.h"

/** ctr_devices_make() - make nodes and links; @devices: linux.devices or NULL */
struct err *ctr_devices_make(const json_t *devices) MUST_USE;

#endif
