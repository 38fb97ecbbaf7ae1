/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

/*
 * Boot: what the START of the payload brings, and making the machine as it says.  The
 * document:
 *
 *	{ "guest": { the plan's guest half (model/plan.h) },
 *	  "name": "web",                      host name where the half above has none
 *	  "image": true, "readonly": false,   is there an image to mount?
 *	  "memory_bytes": 268435456,          that the VM has, for errors
 *	  "seccomp": "hex digits of the BPF" }
 *	{ "alone": true }                       no payload: only the files of the disks are wanted
 *
 * From it comes GUEST_STATE/plan.json, a plan of a container whose host is this VM: ctr's
 * payload half starts it as it starts any other.
 *
 * Context: pid 1 of a VM; blocks.
 */

#include "json/json.h"
#include "util/err.h"

#define GUEST_STATE "/run/hostel"

/**
 * guest_plan() - the container's plan; pure
 * @doc:     as above
 * @ret:     new reference
 * @ret_bpf: bytes of the filter, owned by the caller; empty: none
 * Return: NULL, or ERR_INVALID.
 */
struct err *guest_plan(const json_t *doc, json_t **ret, struct str *ret_bpf) MUST_USE;

/** guest_boot() - disks, files, host name, network, and the plan in GUEST_STATE */
struct err *guest_boot(const json_t *doc) MUST_USE;

/** guest_set_names() - host and domain name, as START's document has them */
struct err *guest_set_names(const json_t *doc) MUST_USE;

/** guest_file_path() - where the @i-th of its files lies; owned by the caller */
char *guest_file_path(size_t i);

#endif
