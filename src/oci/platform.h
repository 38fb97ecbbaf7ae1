/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OCI_PLATFORM_H
#define OCI_PLATFORM_H

/*
 * Platforms: "linux/amd64", "linux/arm64/v8".  Pure.
 * Spec: OCI image 1.1 image-index.md "platform".
 */

#include <stdbool.h>

#include "util/err.h"

struct oci_platform {
	char *os, *arch, *variant; /* variant: "" when there is none */
};

/** oci_platform_parse() - ERR_INVALID for what is not "os/arch[/variant]" */
struct err *oci_platform_parse(const char *text, struct oci_platform *ret) MUST_USE;

/** oci_platform_done() - free the strings */
void oci_platform_done(struct oci_platform *p);
static inline void own_oci_platform_release(struct oci_platform *p)
{
	oci_platform_done(p);
}

/** oci_platform_host() - what this program was built for, "linux/amd64"; static storage */
const char *oci_platform_host(void);

/** oci_platform_text() - "linux/arm64/v8"; owned by the caller */
char *oci_platform_text(const struct oci_platform *p);

/**
 * oci_platform_matches() - can @have be taken where @want was asked for?
 * A variant that only one of them names does not matter; arm64's is v8 when none is named.
 */
bool oci_platform_matches(const struct oci_platform *want, const struct oci_platform *have);

#endif
