/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OCI_REF_H
#define OCI_REF_H

/*
 * Image references, "localhost:5000/debian:12@sha256:…": parsing, the normalised
 * form that is stored ("docker.io/library/debian:12") and the short one that is shown.
 *
 * Pure.
 *
 * Spec: distribution reference grammar; OCI distribution 1.1 "Pulling manifests".
 */

#include <stdbool.h>

#include "util/err.h"

struct oci_ref {
	char *domain; /* "docker.io", "localhost:5000" */
	char *path;   /* "library/debian" */
	char *tag;    /* NULL: none was said, and there is a digest */
	char *digest; /* "sha256:…" or NULL */
};

/**
 * oci_ref_parse() - read what a user wrote
 * @text: without tag and digest the tag is "latest"
 * @ret:  to be released by oci_ref_done()
 * Return: NULL, or ERR_INVALID in Docker's words.
 */
struct err *oci_ref_parse(const char *text, struct oci_ref *ret) MUST_USE;

/** oci_ref_done() - free the strings */
void oci_ref_done(struct oci_ref *r);
static inline void own_oci_ref_release(struct oci_ref *r)
{
	oci_ref_done(r);
}

/** oci_ref_text() - normalised: "docker.io/library/debian:12"; owned by the caller */
char *oci_ref_text(const struct oci_ref *r);

/** oci_ref_familiar() - short: "debian:12"; owned by the caller */
char *oci_ref_familiar(const struct oci_ref *r);

/** oci_ref_name() - short, without tag and digest: "debian"; owned by the caller */
char *oci_ref_name(const struct oci_ref *r);

/** oci_digest_is_valid() - "sha256:" and 64 lower-case hex digits */
bool oci_digest_is_valid(const char *text);

/** oci_digest_hex() - the hex digits of a valid digest; borrowed */
const char *oci_digest_hex(const char *digest);

#endif
