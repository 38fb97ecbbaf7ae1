/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SECCOMP_SECCOMP_H
#define SECCOMP_SECCOMP_H

/*
 * Seccomp: a profile in Docker's JSON form becomes the bytes of a BPF program, which
 * ctr loads without any library.  Compiling takes about 10 ms, so it is done once per
 * profile and set of capabilities and kept as a file.
 *
 * Context: hostel-image and hostel-oci; blocks for the processor only.
 * Spec: Docker's "Seccomp security profiles for Docker"; OCI runtime 1.2
 * config-linux.md#seccomp (the same without includes, excludes and archMap).
 */

#include <stdbool.h>
#include <stddef.h>

#include "json/json.h"
#include "util/err.h"
#include "util/str.h"

/** seccomp_default() - hostel's own profile (data/seccomp.json), as Docker's default in effect */
struct err *seccomp_default(json_t **ret) MUST_USE;

/**
 * seccomp_compile() - profile to BPF
 * @profile: JSON object; names of system calls that libseccomp does not know are left out
 * @caps:    capabilities that the processes will have, "CAP_SYS_ADMIN"
 * @ret:     struct sock_filter array, owned by the caller (free())
 * @ret_len: its length in bytes
 *
 * As with runc, system calls later than the last one in the profile give ENOSYS and not
 * EPERM, so that C libraries fall back to older ones.
 * Return: NULL; ERR_INVALID for what the profile says wrongly; ERR_UNSUPPORTED for what this host
 *         cannot do (an action or architecture unknown to libseccomp).
 */
struct err *seccomp_compile(const json_t *profile, const struct strv *caps, void **ret,
			    size_t *ret_len) MUST_USE;

/**
 * seccomp_keep_project() - before all else, ioctl FS_IOC_FSSETXATTR gives EPERM
 * The owner of a file may put it under another project, and so out of a project quota.
 * @bpf: as seccomp_compile() made it; replaced
 * @len: its length in bytes; grows
 */
void seccomp_keep_project(void **bpf, size_t *len);

/**
 * seccomp_compile_file() - compile and store, whole or not at all
 * @profile:      an object; or a string: "default", or a path
 * @keep_project: with seccomp_keep_project()
 * @out:          file to write
 */
struct err *seccomp_compile_file(const json_t *profile, const struct strv *caps, bool keep_project,
				 const char *out) MUST_USE;

#endif
