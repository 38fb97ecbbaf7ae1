/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/feature.h"

#include "util/mem.h"

/* In the order in which they are loaded: the transport, what it carries, file systems. */
const struct feature boot_features[] = {
	{ "virtio_pci", { "virtio_pci" }, .is_required = true, .is_usual = true },
	{ "virtio_mmio", { "virtio_mmio" }, .is_usual = true }, /* microvm */
	{ "virtio_console", { "virtio_console" }, .is_required = true, .is_usual = true },
	{ "virtio_blk", { "virtio_blk" }, .is_required = true, .is_usual = true },
	{ "virtio_net", { "virtio_net" }, .is_required = true, .is_usual = true },
	{ "virtio_rng", { "virtio_rng" }, .is_usual = true },
	{ "virtio_balloon", { "virtio_balloon" } },
	{ "erofs", { "erofs" }, .is_required = true, .is_usual = true },
	{ "overlay", { "overlay" }, .is_required = true, .is_usual = true },
	{ "ext4", { "ext4" }, .is_required = true, .is_usual = true },
	{ "virtiofs", { "virtiofs" } },
	{ "vsock", { "vmw_vsock_virtio_transport" } },
};
const size_t boot_n_features = ARRAY_SIZE(boot_features);

const struct feature *feature_find(const char *name)
{
	for (size_t i = 0; i < boot_n_features; i++)
		if (streq(boot_features[i].name, name))
			return &boot_features[i];
	return NULL;
}
