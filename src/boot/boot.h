/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

/*
 * Boot: kernel bundles and the initramfs that puts hostel-guest into a VM.
 *
 * A bundle is a folder kernels/NAME:
 *	vmlinuz        the kernel as its distribution packs it
 *	vmlinux        the same unpacked (ELF with a PVH entry), where that can be had: QEMU's
 *	               -kernel takes it too, and it boots half a second faster under TCG
 *	modules/       only what a feature needs, decompressed: virtio_blk.ko
 *	bundle.json    {"version":1,"name":"debian","kernel":"6.1.0-56-cloud-amd64",
 *	                "sha256":"hex of vmlinuz","vmlinuz":"vmlinuz","vmlinux":"vmlinux",
 *	                "features":{"virtio_blk":["virtio","virtio_ring","virtio_blk"],"ext4":[],…},
 *	                "missing":["vsock"],"append":"cryptomgr.notests …"}
 *	               a feature's modules in load order, [] when it is built in; features that
 *	               the kernel does not have are missing ("vmlinux" is absent when there is
 *	               none); append: for the kernel's command line, beside console= and panic=
 *	initramfs-HEX.img   made on demand, named after its content
 *
 * The initramfs (newc cpio, uncompressed) holds /init (hostel-guest), /modules.list (one
 * path a line, in load order: "/modules/virtio_blk.ko") and /modules/NAME.ko, and the
 * folders /dev /proc /sys /mnt /run /tmp, and /dev/console.
 *
 * Context: workers (hostel-image); blocks.
 */

#include <stdbool.h>
#include <stddef.h>

#include "json/json.h"
#include "util/err.h"
#include "util/str.h"

/*
 * Features that a VM can ask for: virtio_pci, virtio_mmio, virtio_console, virtio_blk,
 * virtio_net, virtio_rng, virtio_balloon, erofs, overlay, ext4, virtiofs, vsock
 * (boot/feature.c).
 */
#define BOOT_BUNDLE_VERSION 1

struct boot_source {
	const char *name;   /* of the bundle to be, [a-zA-Z0-9][a-zA-Z0-9_.-]*; NULL: its version */
	const char *source; /* path of a .deb or of a vmlinuz; "host": the running kernel's */
	const char
	    *modules;     /* folder lib/modules/VERSION of a vmlinuz; NULL: none or in the .deb */
	const char *root; /* hostel's root folder: kernels/NAME and tmp/ are below */
};

/**
 * boot_kernel_add() - make a bundle, replacing one of the same name at once
 * @ret: content of bundle.json; new reference
 * Return: NULL; ERR_NOT_FOUND for a missing file; ERR_UNSUPPORTED for what is no x86 kernel
 *         or for a kernel that lacks a driver that we need; ERR_INVALID.
 */
struct err *boot_kernel_add(const struct boot_source *s, json_t **ret) MUST_USE;

struct boot_initramfs {
	const char *root;            /* hostel's root folder */
	const char *kernel;          /* name of the bundle */
	const char *guest;           /* path of hostel-guest (static) */
	const struct strv *features; /* NULL or empty: what a VM of ours usually has */
	const char *busybox;         /* static busybox for a VM without an image; NULL: none */
};

/**
 * boot_initramfs_make() - the initramfs of a bundle with some features; made once
 * @ret_path: kernels/NAME/initramfs-HEX.img, owned by the caller
 * Return: NULL; ERR_NOT_FOUND for bundle or guest; ERR_INVALID for an unknown feature, or a
 *         busybox that is not linked statically.
 */
struct err *boot_initramfs_make(const struct boot_initramfs *b, char **ret_path) MUST_USE;

#endif
